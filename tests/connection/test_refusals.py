"""What docs/reference/protocol.md says of refusals and close codes is what the code does."""

import re
from pathlib import Path

from locshare.connection.refusal import Refusal
from locshare.connection.upgrade import BAD_HANDSHAKE, HANDSHAKE_STATUSES
from locshare.model.reasons import CloseReason, reason_of, should_reconnect

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


def advice(reason: CloseReason) -> str:
    """What the page says of reconnecting after ``reason``."""
    least, most = reason.wait_s
    wait = f", after {least:.0f}\u2013{most:.0f} s" if most else ""
    return f"yes{wait}" if reason.reconnect else "no"


def test_every_close_code_is_in_the_table_with_its_advice() -> None:
    documented = {
        int(code): reconnect.partition(":")[0]
        for codes, _, reconnect in rows("| code | reason | reconnect |")
        for code in codes.split(", ")
    }
    assert documented == {each.code: advice(each) for each in CloseReason}


def test_a_wait_is_given_where_a_client_reconnects_and_only_there() -> None:
    for each in CloseReason:
        least, most = each.wait_s
        assert 0 <= least <= most
        assert each.reconnect or most == 0, each


def test_a_code_that_is_not_in_the_table_says_by_its_range_whether_to_reconnect() -> None:
    known = {each.code for each in CloseReason}
    for code in {*range(1000, 5000)} - known:
        assert reason_of(code) is None
        assert should_reconnect(code) is not (4000 <= code <= 4499), code
    for each in CloseReason:
        assert reason_of(each.code) is each
        assert should_reconnect(each.code) is each.reconnect


def test_the_codes_of_the_private_range_follow_the_rule_but_for_the_two_that_the_page_names() -> (
    None
):
    (text,) = re.findall(r"In the table ([0-9 and]+) are the exceptions", PAGE.replace("\n", " "))
    exceptions = {
        each.code
        for each in CloseReason
        if each.code >= 4000 and each.reconnect is (4000 <= each.code <= 4499)
    }
    assert exceptions == {int(code) for code in text.split(" and ")}


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
