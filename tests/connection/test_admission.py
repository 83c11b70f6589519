"""Admission, without sockets."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from uuid import UUID

import pytest
import trio
import trio.testing

from locshare.connection.admission import identify_upgrade, open_link, token_of
from locshare.connection.dialect import (
    COMPACT_SOCKET,
    DEFAULT_DIALECTS,
    PLAIN_SOCKET,
    SocketDialect,
)
from locshare.connection.negotiation import choose_dialect, choose_subprotocol
from locshare.connection.phoenix import PhoenixSocketDialect
from locshare.connection.refusal import Refusal
from locshare.connection.upgrade import Upgrade, UpgradeResponder
from tests.connection.kit import Claims, Room, RoomLink, Verifier


def upgrade(
    target: str = "/ws", *subprotocols: str, headers: Sequence[tuple[str, str]] = ()
) -> Upgrade:
    nobody: UpgradeResponder = None  # type: ignore[assignment] # nothing is answered here
    return Upgrade(nobody, target, headers, subprotocols)


@pytest.mark.parametrize(
    ("target", "subprotocols", "token"),
    [
        ("/ws", (), None),
        ("/ws?token=", (), None),
        ("/ws?token=abc", (), "abc"),
        ("/ws?other=abc", (), None),
        ("/ws", ("locshare.bearer.abc",), "abc"),
        ("/ws", ("locshare.v1", "chat", "locshare.bearer.abc"), "abc"),
        ("/ws", ("locshare.v1", "locshare.bearer.abc"), "abc"),
        ("/ws", ("locshare.bearer.",), None),
        ("/ws?token=query", ("locshare.bearer.",), None),
        ("/ws?token=query", ("locshare.bearer.abc",), "abc"),
        ("/ws?token=query", ("locshare.v1",), "query"),
        ("/ws", ("locshare.bearer.abc", "locshare.bearer.def"), "abc"),
        ("/ws", ("locshare.bearer",), None),
        ("/socket/websocket", ("phoenix", "base64url.bearer.phx.YWRh"), "ada"),
        ("/socket/websocket", ("phoenix", "base64url.bearer.phx.YWRhPw"), "ada?"),
        ("/socket/websocket", ("phoenix", "base64url.bearer.phx."), None),
        ("/socket/websocket", ("phoenix", "base64url.bearer.phx.A"), None),
        ("/socket/websocket", ("phoenix", "base64url.bearer.phx._w"), None),
        ("/socket/websocket?token=query", ("phoenix",), "query"),
    ],
)
def test_the_token_is_in_a_subprotocol_or_in_the_query_and_empty_is_none(
    target: str, subprotocols: Sequence[str], token: str | None
) -> None:
    asked = upgrade(target, *subprotocols)
    assert token_of(asked) == token
    if token is None:
        assert identify_upgrade(asked, Verifier()) is Refusal.NO_TOKEN


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ((), None),
        (("locshare.v1",), "locshare.v1"),
        (("chat", "locshare.bearer.abc"), None),
        (("chat", "locshare.bearer.abc", "locshare.v1"), "locshare.v1"),
        (("phoenix", "locshare.bearer.abc"), None),
    ],
)
def test_the_subprotocol_that_is_answered_is_not_the_token(
    offered: Sequence[str], answered: str | None
) -> None:
    asked = upgrade("/ws", *offered)
    assert choose_subprotocol(asked, DEFAULT_DIALECTS) == answered
    assert choose_dialect(asked, DEFAULT_DIALECTS) is PLAIN_SOCKET


@pytest.mark.parametrize("path", ["/ws", "/socket/websocket"])
@pytest.mark.parametrize(
    "offered", [("locshare.bearer.abc",), ("base64url.bearer.phx.YWRh", "locshare.bearer.abc")]
)
def test_the_token_is_answered_where_nothing_else_is_offered(
    path: str, offered: Sequence[str]
) -> None:
    asked = upgrade(path, *offered)
    assert choose_subprotocol(asked, DEFAULT_DIALECTS) == offered[0]
    dialect = choose_dialect(asked, DEFAULT_DIALECTS)
    if path == "/ws":
        assert dialect is PLAIN_SOCKET
    else:
        assert isinstance(dialect, PhoenixSocketDialect)


@pytest.mark.parametrize(
    ("headers", "target", "token"),
    [
        (("Bearer abc",), "/ws", "abc"),
        (("bearer  abc ",), "/ws?token=query", "abc"),
        (("Bearer abc",), "/socket/websocket", "abc"),
        (("Bearer ",), "/ws?token=query", None),
        (("Basic QTpC",), "/ws?token=query", "query"),
        (("Bearer abc", "Bearer def"), "/ws", None),
        (("Bearer",), "/ws", None),
    ],
)
def test_the_token_may_be_in_the_authorization_header(
    headers: Sequence[str], target: str, token: str | None
) -> None:
    named = [("authorization", value) for value in headers]
    assert token_of(upgrade(target, headers=named)) == token


def test_a_subprotocol_wins_over_the_authorization_header() -> None:
    named = [("Authorization", "Bearer abc")]
    assert token_of(upgrade("/ws", "locshare.bearer.def", headers=named)) == "def"


@pytest.mark.parametrize(
    ("offered", "dialect"),
    [
        (("locshare.v1.compact", "locshare.bearer.abc"), COMPACT_SOCKET),
        (("locshare.v1.compact", "locshare.v1"), COMPACT_SOCKET),
        (("locshare.v1", "locshare.v1.compact"), PLAIN_SOCKET),
    ],
)
def test_the_first_subprotocol_that_is_offered_selects_the_dialect(
    offered: Sequence[str], dialect: SocketDialect
) -> None:
    asked = upgrade("/ws", *offered)
    assert choose_subprotocol(asked, DEFAULT_DIALECTS) == offered[0]
    assert choose_dialect(asked, DEFAULT_DIALECTS) is dialect


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ((), None),
        (("phoenix", "base64url.bearer.phx.YWRh"), "phoenix"),
        (("locshare.v1",), None),
    ],
)
def test_the_path_of_phoenix_selects_its_dialect(
    offered: Sequence[str], answered: str | None
) -> None:
    asked = upgrade("/map/socket/websocket?vsn=2.0.0", *offered)
    assert choose_subprotocol(asked, DEFAULT_DIALECTS) == answered
    assert isinstance(choose_dialect(asked, DEFAULT_DIALECTS), PhoenixSocketDialect)


@pytest.mark.parametrize("vsn", ["1.0.0", "1.0.7", "2.0.0", None])
def test_a_known_vsn_is_served_and_none_means_the_first(vsn: str | None) -> None:
    asked = upgrade("/socket/websocket" + ("" if vsn is None else f"?vsn={vsn}"))
    assert isinstance(choose_dialect(asked, DEFAULT_DIALECTS), PhoenixSocketDialect)


@pytest.mark.parametrize("vsn", ["3.0.0", "2.1.0", "2", "0", "x", "1.0.0.0"])
def test_an_unknown_vsn_is_refused(vsn: str) -> None:
    asked = upgrade(f"/socket/websocket?vsn={vsn}&token=ada")
    assert choose_dialect(asked, DEFAULT_DIALECTS) is Refusal.UNKNOWN_VERSION


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", Refusal.NO_SUCH_PATH),
        ("/ws/?token=ada", Refusal.NO_SUCH_PATH),
        ("/ws?token=forged", Refusal.BAD_TOKEN),
        ("/ws?token=expired", Refusal.ENDED),
        ("/ws?token=ada", Claims("ada")),
        ("/ws?a=b&token=ada", Claims("ada")),
        ("/socket/websocket?vsn=2.0.0&token=ada", Claims("ada")),
        ("/socket?token=ada", Refusal.NO_SUCH_PATH),
    ],
)
def test_the_token_alone_identifies_the_participant(target: str, expected: object) -> None:
    assert identify_upgrade(upgrade(target), Verifier()) == expected


@pytest.mark.parametrize(
    ("user_id", "refusal"),
    [
        ("over", Refusal.ENDED),
        ("no-session", Refusal.NOT_FOUND),
        ("removed", Refusal.FORBIDDEN),
        ("no-store", Refusal.UNAVAILABLE),
    ],
)
async def test_what_the_session_says_becomes_a_refusal(user_id: str, refusal: Refusal) -> None:
    assert await open_link(Claims(user_id), Room(), 1.0) is refusal


async def test_a_good_token_gets_the_link_of_its_session() -> None:
    assert isinstance(await open_link(Claims("ada"), Room(), 1.0), RoomLink)


class Slow(Room):
    """A session that is found after a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def open(self, session_id: UUID, user_id: str) -> RoomLink:
        await trio.sleep(self.seconds)
        return RoomLink(self, user_id)


async def test_a_session_has_its_time_to_be_found_and_not_more(
    autojump_clock: trio.testing.MockClock,
) -> None:
    assert isinstance(await open_link(Claims("ada"), Slow(4.9), 5.0), RoomLink)
    before = trio.current_time()
    assert await open_link(Claims("ada"), Slow(3600), 5.0) is Refusal.UNAVAILABLE
    assert trio.current_time() - before == pytest.approx(5.0)


async def test_a_bug_in_the_session_is_no_refusal() -> None:
    class Broken(Room):
        async def open(self, session_id: UUID, user_id: str) -> RoomLink:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await open_link(Claims("ada"), Broken(), 1.0)


def test_every_refusal_has_a_body_that_says_the_same_as_its_status() -> None:
    for each in Refusal:
        head, _, body = each.response().partition(b"\r\n\r\n")
        phrase = HTTPStatus(each.status).phrase
        assert head.decode().startswith(f"HTTP/1.1 {each.status} {phrase}\r\n")
        assert json.loads(body) == {
            "type": "about:blank",
            "title": phrase,
            "status": each.status,
            "code": each.code,
            "detail": each.text,
        }
        assert each.label == each.name.lower()
