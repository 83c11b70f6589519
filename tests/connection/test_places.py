"""Which sockets have a place, and how the others are refused: never with a reset."""

import json
import socket
from contextlib import AsyncExitStack

import pytest
import trio
import trio.testing

from locshare.connection.context import ConnectionLimits
from locshare.connection.pool import PoolLimits, ReconnectLimits
from locshare.connection.refusal import Refusal
from locshare.connection.transport import Transport
from locshare.connection.transport_limits import TransportLimits
from locshare.connection.upgrade import ConnectionLost, empty_input, problem_response
from locshare.model.reasons import CloseReason
from tests.connection.kit import (
    PATIENT,
    QUICK_ENDS,
    SNAPSHOT,
    Server,
    raw_client,
    raw_tcp,
    serving,
)
from tests.running import LAST_RESORT_S
from tests.sockets import Raw, client_frame, request, trio_client

BROWSER = "Origin: https://example.org"


def limited(**limits: object) -> PoolLimits:
    return PoolLimits(
        drain_deadline=1.0,
        connection=ConnectionLimits(outbox=QUICK_ENDS),
        **limits,  # type: ignore[arg-type]
    )


async def read_refusal(raw: Raw) -> tuple[int, str, int]:
    """Status, code and Retry-After of an answer, and the socket's orderly end after it."""
    head = (await raw.head()).decode().lower()
    size = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    problem = json.loads(await raw.exactly(size))
    after = int(head.partition("retry-after: ")[2].partition("\r\n")[0] or 0)
    await raw.end()
    return int(head.split()[1]), problem["code"], after


async def refused(server: Server, user_id: str, *headers: str) -> tuple[int, str, int]:
    async with raw_tcp(server) as raw:
        await raw.send(request(f"/ws?token={user_id}", headers=headers))
        return await read_refusal(raw)


async def close_code_of(server: Server, user_id: str, *headers: str) -> int:
    async with raw_tcp(server) as raw:
        await raw.send(request(f"/ws?token={user_id}", headers=(BROWSER, *headers)))
        assert (await raw.head()).startswith(b"HTTP/1.1 101 ")
        return await raw.close_code()


async def silent(server: Server, stack: AsyncExitStack, count: int, said: bytes = b"") -> list[Raw]:
    """Clients that connect and do not go on."""
    clients = []
    for _ in range(count):
        before = server.pool.statistics().accepted
        clients.append(await stack.enter_async_context(raw_tcp(server)))
        with trio.fail_after(LAST_RESORT_S):
            while server.pool.statistics().accepted == before:
                await trio.lowlevel.checkpoint()
        if said:
            await clients[-1].send(said)
    return clients


async def test_silent_sockets_use_up_no_place_of_connections() -> None:
    async with (
        serving(limited(max_connections=1)) as server,
        AsyncExitStack() as stack,
    ):
        await silent(server, stack, 20)
        async with raw_client(server, "ada") as ada:
            await ada.send(client_frame(b'{"type": "ping"}'))
            assert json.loads((await ada.frame())[1])["type"] == "pong"
        statistics = server.pool.statistics()
        assert statistics.handshakes == 20
        assert statistics.refused["full"] == 0


async def test_the_longest_idle_socket_is_refused_for_an_honest_client() -> None:
    async with serving(limited(handshakes=3)) as server, AsyncExitStack() as stack:
        first, second, third = await silent(server, stack, 3, b"GET /ws HTTP/1.1\r\n")
        async with raw_client(server, "ada"):
            assert await read_refusal(first) == (503, "OVERLOADED", 5)
            await second.send(b"Host: x\r\n")  # it lives on
            await third.send(b"Host: x\r\n")
            assert server.pool.statistics().handshakes == 2
        assert server.refused() == {"crowded_out": 1}


async def test_a_request_of_which_a_part_came_is_not_the_longest_idle() -> None:
    async with serving(limited(handshakes=2)) as server, AsyncExitStack() as stack:
        first, second = await silent(server, stack, 2, b"GET /ws HTTP/1.1\r\n")
        await trio.testing.wait_all_tasks_blocked()
        await first.send(b"Host: x\r\n")
        await trio.testing.wait_all_tasks_blocked()
        await silent(server, stack, 1)
        assert (await read_refusal(second))[0] == 503
        assert server.refused() == {"crowded_out": 1}


async def test_nothing_is_kept_of_those_that_were_refused() -> None:
    async with serving() as server:
        for _ in range(3):
            assert (await refused(server, "forged"))[0] == 401
        await server.all_gone()
        assert not server.pool._places._refused


def test_no_more_is_read_before_closing_than_is_allowed() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        theirs.send(b"x" * 5000)
        empty_input(ours, 1000)
        assert len(ours.recv(10_000)) == 4000


async def test_an_address_that_has_its_share_of_handshakes_takes_from_itself() -> None:
    limits = limited(handshakes=100, handshakes_per_address=2)
    async with serving(limits) as server, AsyncExitStack() as stack:
        clients = await silent(server, stack, 4)
        for each in clients[:2]:
            assert (await read_refusal(each))[0] == 503
        assert server.pool.statistics().handshakes == 2


async def test_a_proxy_may_have_all_handshakes() -> None:
    limits = limited(handshakes=100, handshakes_per_address=2)
    async with serving(limits, behind_a_proxy=True) as server, AsyncExitStack() as stack:
        await silent(server, stack, 20)
        assert server.pool.statistics().handshakes == 20
        assert server.refused() == {}


async def test_those_that_are_refused_and_stay_are_bounded_too() -> None:
    # A refused client that stays is waited for.
    limits = PoolLimits(handshakes=4, drain_deadline=0.1, connection=PATIENT)
    async with serving(limits) as server, AsyncExitStack() as stack:
        clients = await silent(server, stack, 40, b"GET /ws")
        with trio.fail_after(LAST_RESORT_S):
            await server.pool.wait_at_most(8)
        for each in clients[:32]:
            assert (await read_refusal(each))[0] == 503, "cut short, and yet it was told"


async def test_a_flood_of_silent_sockets_keeps_no_client_out() -> None:
    async with serving(limited(handshakes=8)) as server, AsyncExitStack() as stack:
        async with trio.open_nursery() as nursery:

            async def knock() -> None:
                for _ in range(100):
                    await stack.enter_async_context(raw_tcp(server))

            nursery.start_soon(knock)
            for n in range(20):
                async with raw_client(server, f"honest-{n}"):
                    pass
        assert server.pool.statistics().opened == 20


@pytest.mark.parametrize("limit", ["max_connections", "per_address"])
async def test_beyond_a_limit_of_connections_a_client_is_refused_and_not_reset(limit: str) -> None:
    async with serving(limited(**{limit: 1})) as server, raw_client(server, "ada"):
        assert await refused(server, "bob") == (503, "OVERLOADED", 5)
        assert await close_code_of(server, "bob") == 1013
        assert sum(server.refused().values()) == 2


async def test_without_a_limit_an_address_may_hold_any_number() -> None:
    async with serving(limited(per_address=0)) as server, AsyncExitStack() as stack:
        for n in range(3):
            await stack.enter_async_context(raw_client(server, f"user-{n}"))
        assert server.refused() == {}


async def test_a_place_is_free_again_when_its_connection_has_ended() -> None:
    async with serving(limited(max_connections=1, per_address=1)) as server:
        for _ in range(3):
            async with raw_client(server, "ada") as ada:
                await ada.send(client_frame(b"\x03\xe8", 8))
                await ada.end()
            await server.all_gone()
        assert server.refused() == {}


async def test_behind_a_proxy_clients_are_counted_by_what_it_says_of_them() -> None:
    limits = limited(per_address=1)
    async with serving(limits, behind_a_proxy=True) as server, raw_tcp(server) as ada:
        here, there = "X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"
        await ada.send(request("/ws?token=ada", headers=(here,)))
        await ada.head()
        assert (await refused(server, "bob", here))[0] == 503
        async with trio_client(
            server.url("carl"), extra_headers=[(b"X-Forwarded-For", b"192.0.2.2")]
        ) as carl:
            await carl.get_message()
            assert (await refused(server, "dora", there))[0] == 503
        assert server.refused() == {"address_full": 2}


async def test_a_wrong_token_takes_no_place() -> None:
    async with serving(limited(max_connections=1)) as server:
        async with raw_tcp(server) as raw:
            await raw.send(request("/ws?token=forged"))
            await raw.head()
            async with raw_client(server, "ada"):
                pass
        assert server.refused() == {"bad_token": 1}


async def test_a_session_that_cannot_be_opened_gives_the_place_back() -> None:
    async with serving(limited(max_connections=1)) as server, raw_tcp(server) as raw:
        await raw.send(request("/ws?token=no-store"))
        await raw.head()
        async with raw_client(server, "ada"):
            pass


async def test_a_client_that_floods_its_request_still_gets_the_answer() -> None:
    """More than the server reads of it: the answer must not be lost by a reset."""
    transport = TransportLimits(discard_bytes=1000)
    limits = PoolLimits(
        drain_deadline=1.0, connection=ConnectionLimits(transport=transport, outbox=QUICK_ENDS)
    )
    async with serving(limits) as server, raw_tcp(server) as raw:
        await raw.send(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 100_000)
        assert (await raw.head()).startswith(b"HTTP/1.1 4")


async def test_without_a_file_descriptor_the_longest_idle_socket_is_closed() -> None:
    async with serving() as server, AsyncExitStack() as stack:
        assert not server.pool.make_room(), "a connection is not closed for it"
        first, second = await silent(server, stack, 2)
        await trio.testing.wait_all_tasks_blocked()
        assert server.pool.make_room()
        await first.end()
        assert server.pool.statistics().handshakes == 1
        await second.send(request("/ws?token=ada"))
        await second.head()
        assert not server.pool.make_room(), "a connection is not closed for it"


# --- coming back --------------------------------------------------------------------------------


RARELY = ReconnectLimits(rate=0.001, burst=3)


async def test_a_participant_that_connects_too_often_is_refused_with_retry_after() -> None:
    async with serving(limited(reconnects=RARELY)) as server:
        for _ in range(3):
            async with raw_client(server, "ada"):
                pass
        assert await refused(server, "ada") == (429, "RATE_LIMITED", 10)
        assert await close_code_of(server, "ada") == 4429
        async with raw_client(server, "bob"):
            pass
        assert server.refused() == {"too_often": 2}


@pytest.mark.parametrize(
    ("flood", "code"), [(client_frame(b"", 9) * 400, 4429), (client_frame(b"?") * 20, 4400)]
)
async def test_a_participant_closed_for_flooding_is_refused_for_a_while(
    flood: bytes, code: int
) -> None:
    async with serving() as server:
        async with raw_client(server, "ada") as ada:
            await ada.send(flood)
            assert await ada.close_code() == code
            assert (await refused(server, "ada"))[:2] == (429, "RATE_LIMITED"), "at once"
        await server.all_gone()
        assert (await refused(server, "ada"))[:2] == (429, "RATE_LIMITED")


@pytest.mark.parametrize("reason", [CloseReason.RESTART, CloseReason.SESSION_ENDED])
async def test_a_participant_closed_for_another_reason_may_reconnect_at_once(
    reason: CloseReason,
) -> None:
    async with serving() as server, raw_client(server, "ada") as ada:
        server.room.receivers["ada"].close(reason)
        assert await ada.close_code() == reason.code
        async with raw_client(server, "ada"):
            pass


async def test_a_refusal_because_the_server_is_full_does_not_count_as_coming_back() -> None:
    limits = limited(max_connections=1, reconnects=RARELY)
    async with serving(limits) as server:
        async with raw_client(server, "ada"):
            for _ in range(5):
                assert (await refused(server, "bob"))[0] == 503
        await server.all_gone()
        async with raw_client(server, "bob"):
            pass


# --- answers ------------------------------------------------------------------------------------


async def test_a_client_that_is_gone_before_it_is_answered_leaves_no_link_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def gone(_self: Transport, _subprotocol: str | None) -> None:
        raise ConnectionLost

    monkeypatch.setattr(Transport, "accept", gone)
    async with serving(limited(max_connections=1)) as server:
        for n in (1, 2):
            async with raw_tcp(server) as raw:
                await raw.send(request("/ws?token=ada"))
                await raw.end()
            await server.all_gone()
            assert server.refused() == {"lost_in_handshake": n}
        assert server.room.detached == ["ada", "ada"]
        assert server.room.receivers == {}


async def test_a_browser_that_is_gone_before_it_is_refused_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def gone(_self: Transport, _subprotocol: str | None) -> None:
        raise ConnectionLost

    monkeypatch.setattr(Transport, "accept", gone)
    async with serving() as server, raw_tcp(server) as raw:
        await raw.send(request("/ws?token=forged", headers=["Origin: https://example.org"]))
        await raw.end()
        await server.all_gone()
        assert server.refused() == {"bad_token": 1}


async def test_an_answer_that_the_socket_takes_in_parts_arrives_whole() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    transport = Transport(ours)
    detail = "x" * 500_000
    async with trio.SocketStream(trio.socket.from_stdlib_socket(theirs)) as stream:
        async with trio.open_nursery() as nursery:
            response = problem_response(503, "UNAVAILABLE", detail, 7)
            nursery.start_soon(transport.reject, response)
            raw = Raw(stream)
            head = await raw.head()
            assert b"Retry-After: 7" in head
            body = await raw.exactly(len(response) - len(head) - 4)
            assert json.loads(body)["detail"] == detail
        await raw.end()
        transport.close()


async def test_an_answer_to_a_client_that_is_gone_is_a_lost_connection() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.close()
    transport = Transport(ours)
    with pytest.raises(ConnectionLost):
        await transport.reject(Refusal.FULL.response())
    transport.close()
    transport.close()


# --- slow requests ------------------------------------------------------------------------------


async def test_a_dripping_request_has_one_deadline_as_a_whole() -> None:
    transport = TransportLimits(handshake_deadline=0.1)
    limits = PoolLimits(connection=ConnectionLimits(transport=transport, outbox=QUICK_ENDS))
    async with serving(limits) as server, raw_tcp(server) as raw, trio.open_nursery() as nursery:

        async def drip() -> None:
            await raw.send(b"GET /ws HTTP/1.1\r\nX: ")
            while True:
                await raw.send(b"x")
                await trio.sleep(0.01)

        nursery.start_soon(drip)
        assert (await raw.head()).startswith(b"HTTP/1.1 408 ")
        assert server.refused() == {"late": 1}
        nursery.cancel_scope.cancel()


async def test_a_client_that_half_closes_after_its_request_is_served_until_then() -> None:
    async with serving() as server, raw_tcp(server) as raw:
        await raw.send(request("/ws?token=ada"))
        await raw.stream.send_eof()
        assert (await raw.head()).startswith(b"HTTP/1.1 101 ")
        assert await raw.frame() == (0x81, SNAPSHOT)
        await raw.stream.aclose()
        await server.all_gone()
        assert server.closed() == {"peer_gone": 1}


@pytest.mark.parametrize("said", [b"", b"GET /ws", request("/ws?token=ada")])
async def test_a_drain_refuses_the_sockets_not_admitted_yet(said: bytes) -> None:
    """Sockets whose request is awaited, or whose session is being opened."""
    async with serving() as server, raw_tcp(server) as raw:
        server.room.hold_open = trio.Event()
        await raw.send(said)
        with trio.fail_after(LAST_RESORT_S):
            while server.pool.statistics().accepted == 0:
                await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.pool.drain)
            assert await read_refusal(raw) == (503, "UNAVAILABLE", 5)
            await raw.stream.aclose()
        assert server.refused() == {"draining": 1}
        assert server.room.detached == []


async def test_a_drain_closes_a_browser_that_is_not_in_yet_with_a_code_it_can_see() -> None:
    async with serving() as server, raw_tcp(server) as raw:
        server.room.hold_open = trio.Event()
        await raw.send(request("/ws?token=ada", headers=(BROWSER,)))
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.pool.drain)
            assert (await raw.head()).startswith(b"HTTP/1.1 101 ")
            assert await raw.close_code() == 1013
            await raw.stream.aclose()


async def test_between_two_lives_of_the_pool_a_client_is_refused() -> None:
    """The listener may accept what no pool is there for."""
    async with serving() as server:
        pool = server.pool
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        theirs.send(request("/ws?token=ada"))
        pool.adopt(ours, "192.0.2.1")
        assert ours.fileno() < 0
        assert theirs.recv(10_000).startswith(b"HTTP/1.1 503 ")
        assert theirs.recv(10_000) == b""


def test_there_is_room_for_20_000_connections_and_twice_for_the_handshakes() -> None:
    assert PoolLimits().sockets == 20_000 + 2 * 512
