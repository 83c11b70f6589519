"""What docs/reference/protocol.md says of refusals and close codes is what the code does."""

import re
from pathlib import Path

from locshare.connection.refusal import Refusal
from locshare.connection.upgrade import BAD_HANDSHAKE, HANDSHAKE_STATUSES
from locshare.model.reasons import CloseReason

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "protocol.md").read_text()
NOT_YET_A_REQUEST = {Refusal.LATE, Refusal.CROWDED_OUT}
"""Answered before it is known whether a browser asks: in HTTP only."""


def rows(header: str) -> list[list[str]]:
    """The cells of the table under ``header``."""
    lines = PAGE[PAGE.index(header) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def test_every_refusal_is_in_the_table_with_its_codes_and_its_advice() -> None:
    documented = {
        (int(http), code, int(close), reconnect.startswith("yes"))
        for http, code, close, _, reconnect in rows("| HTTP | `code` | close code |")
    }
    assert documented == {
        (each.status, each.code, each.reason.code, each.reason.reconnect)
        for each in set(Refusal) - NOT_YET_A_REQUEST
    }


def test_what_gets_a_plain_status_is_in_the_other_table() -> None:
    documented = {
        (int(status), code)
        for statuses, code, _ in rows("| HTTP | `code` | when |")
        for status in statuses.split(", ")
    }
    assert documented == {(status, BAD_HANDSHAKE) for status in HANDSHAKE_STATUSES} | {
        (each.status, each.code) for each in NOT_YET_A_REQUEST
    }


def test_a_refusal_has_retry_after_where_a_retry_can_succeed() -> None:
    for each in Refusal:
        assert (each.retry_after is not None) == (each.status in {429, 503}), each
        if each.retry_after is not None:
            assert each.reason.reconnect
    assert Refusal.TOO_OFTEN.retry_after == 10
    assert Refusal.FULL.retry_after == 5


def test_every_close_code_is_in_the_table_with_its_advice() -> None:
    documented = {
        int(code): reconnect.startswith("yes")
        for codes, _, reconnect in rows("| code | reason | reconnect |")
        for code in codes.split(", ")
    }
    never_sent = {CloseReason.PEER_CLOSED, CloseReason.PEER_GONE}
    assert documented == {each.code: each.reconnect for each in set(CloseReason) - never_sent}


def test_the_limits_that_the_page_names_are_those_of_the_code() -> None:
    from locshare.connection.pool import DEFAULT_LIMITS as POOL

    connection = POOL.connection
    for text in (
        rf"connect {POOL.reconnects.burst:.0f} times at once",
        rf"have {POOL.handshakes} places, {POOL.handshakes_per_address} for one address",
        rf"did not arrive within {connection.transport.handshake_deadline:.0f} s",
        rf"not finished within {connection.transport.message_deadline:.0f} s",
        rf"reads at most {connection.transport.discard_bytes // 1024} KiB more",
        rf"closes the socket within {connection.outbox.linger:.0f} s",
    ):
        assert re.search(text, PAGE.replace("\n", " ")), text
