"""The relay on real sockets: what goes in comes out, whatever is done to it, until it is cut."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.network.faults import Cut, Faults, HalfOpen
from bench.network.lane import MOST_HELD, Lane
from bench.network.relay import Relay
from tests.running import LAST_RESORT_S

DEADLINE_S = LAST_RESORT_S
MUCH = 64 * MOST_HELD
"""Far more than the system's own buffers take."""


@dataclass
class Way:
    """A relay, and who comes out at its other end."""

    relay: Relay
    port: int
    arrivals: trio.MemoryReceiveChannel[trio.SocketStream]
    opened: list[trio.SocketStream] = field(default_factory=list)

    async def pair(self) -> tuple[trio.SocketStream, trio.SocketStream]:
        """A client, and the server's end of its connection."""
        before = self.relay.carrying
        client = await trio.open_tcp_stream("127.0.0.1", self.port)
        server = await self.arrivals.receive()
        self.opened += [client, server]
        await until(lambda: self.relay.carrying > before)
        return client, server


@asynccontextmanager
async def way(faults: Faults | None = None) -> AsyncIterator[Way]:
    send, arrivals = trio.open_memory_channel[trio.SocketStream](100)

    async def arrive(stream: trio.SocketStream) -> None:
        await send.send(stream)
        await trio.sleep_forever()

    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
            [behind] = await trio.open_tcp_listeners(0, host="127.0.0.1")
            port = behind.socket.getsockname()[1]
            relay = Relay("127.0.0.1", port, faults=faults or Faults(), seed=1)
            nursery.start_soon(trio.serve_listeners, arrive, [behind])
            nursery.start_soon(relay.serve, listener)
            made = Way(relay, listener.socket.getsockname()[1], arrivals)
            try:
                yield made
            finally:
                for each in made.opened:
                    each.socket.close()
            nursery.cancel_scope.cancel()


async def everything(stream: trio.SocketStream) -> bytes:
    return b"".join([bytes(chunk) async for chunk in stream])


async def silent(stream: trio.SocketStream, seconds: float = 0.1) -> bool:
    """True when nothing comes, not even an end."""
    with trio.move_on_after(seconds):
        await stream.receive_some()
        return False
    return True


async def refuses(port: int) -> bool:
    """True when who connects is reset, which may come in the middle of the connecting."""
    try:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.receive_some()
    except (OSError, trio.BrokenResourceError):
        return True
    return False


async def until(done: Callable[[], bool]) -> None:
    while not done():  # noqa: ASYNC110 - sockets tell nobody of this
        await trio.sleep(0.001)


async def chatter(stream: trio.SocketStream) -> None:
    while True:
        await stream.send_all(b"hello?")
        await trio.sleep(0.001)


# --- integrity --------------------------------------------------------------------------------

# Little ones: an example takes some milliseconds. Imitated loss takes 200 ms and is the lane's.
quick = st.builds(
    Faults,
    delay_s=st.floats(0, 0.004),
    jitter_s=st.floats(0, 0.004),
    rate=st.none() | st.floats(2e5, 1e7),
    stalled=st.booleans(),
)
chunks = st.lists(st.binary(min_size=1, max_size=2_000), max_size=6)


@settings(max_examples=40)
@given(chunks, chunks, st.lists(quick, max_size=5))
def test_both_ways_all_bytes_come_in_order_whatever_the_faults(
    up: Sequence[bytes], down: Sequence[bytes], series: Sequence[Faults]
) -> None:
    async def main() -> None:
        heard: dict[str, bytes] = {}

        async def say(stream: trio.SocketStream, chunks: Sequence[bytes]) -> None:
            for each in chunks:
                await stream.send_all(each)
                await trio.sleep(0.001)
            await stream.send_eof()

        async def hear(name: str, stream: trio.SocketStream) -> None:
            heard[name] = await everything(stream)

        async with way() as made:
            client, server = await made.pair()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(say, client, up)
                nursery.start_soon(say, server, down)
                nursery.start_soon(hear, "client", client)
                nursery.start_soon(hear, "server", server)
                for each in series:
                    made.relay.do(each)
                    await trio.sleep(0.002)
                made.relay.do(Faults())
            assert heard == {"client": b"".join(down), "server": b"".join(up)}

    trio.run(main)


@settings(max_examples=20)
@given(quick, st.integers(0, 5), st.sampled_from(["rst", "fin"]))
def test_what_comes_before_a_cut_is_a_beginning_of_what_was_sent(
    faults: Faults, milliseconds: int, how: str
) -> None:
    whole = bytes(range(256)) * 4_000

    async def main() -> None:
        async with way(faults) as made:
            client, server = await made.pair()
            heard = bytearray()

            async def hear() -> None:
                with suppress(trio.BrokenResourceError):
                    async for chunk in server:
                        heard.extend(chunk)

            async def say() -> None:
                with suppress(trio.BrokenResourceError):
                    await client.send_all(whole)
                    await client.send_eof()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(hear)
                nursery.start_soon(say)
                await trio.sleep(milliseconds / 1000)
                assert made.relay.do(Cut("fin" if how == "fin" else "rst")) <= 1
            assert whole.startswith(bytes(heard))

    trio.run(main)


# --- without faults ---------------------------------------------------------------------------


async def test_the_end_of_one_direction_is_passed_on_and_the_other_goes_on() -> None:
    async with way() as made:
        client, server = await made.pair()
        await client.send_all(b"question")
        await client.send_eof()
        assert await everything(server) == b"question"
        await server.send_all(b"answer")
        assert await client.receive_some() == b"answer"
        await server.send_eof()
        assert await client.receive_some() == b""
        await until(lambda: not made.relay.carrying)


async def test_who_does_not_read_holds_the_sender_back_and_then_gets_everything() -> None:
    async with way() as made:
        client, server = await made.pair()
        sent = bytearray()
        with trio.move_on_after(0.3):
            while len(sent) < MUCH:
                piece = bytes([len(sent) % 251]) * 65_521
                sent += piece[: await client.socket.send(piece)]
        assert len(sent) < MUCH
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send_eof)
            assert await everything(server) == sent


async def test_where_nothing_is_wrong_no_lane_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    async with way() as made:
        with monkeypatch.context() as patch:
            patch.delattr(Lane, "put")
            client, server = await made.pair()
            await client.send_all(b"hello")
            assert await server.receive_some() == b"hello"


@pytest.mark.parametrize(
    "faults",
    [Faults(delay_s=1), Faults(jitter_s=1), Faults(rate=1), Faults(loss=0.1), Faults(stalled=True)],
)
def test_whatever_concerns_bytes_is_something_wrong(faults: Faults) -> None:
    assert not faults.clear
    assert Faults().clear
    assert Faults(refusing=True).clear  # who is in stays


async def test_a_reset_is_passed_on_as_one_behind_what_was_sent_before_it() -> None:
    async with way(Faults(delay_s=0.05)) as made:
        client, server = await made.pair()
        await server.send_all(b"last words")
        await trio.sleep(0.02)  # else the reset would overtake them in the server's own system
        _reset(server)
        assert await client.receive_some() == b"last words"
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()


async def test_a_target_that_has_gone_ends_the_connection_for_its_source_too() -> None:
    async with way() as made:
        client, server = await made.pair()
        _reset(server)
        with pytest.raises(trio.BrokenResourceError):
            await chatter(client)


async def test_who_connects_is_reset_when_nobody_is_behind_the_relay() -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    [gone] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = gone.socket.getsockname()[1]
    await gone.aclose()
    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Relay("127.0.0.1", port, faults=Faults()).serve, listener)
            assert await refuses(listener.socket.getsockname()[1])
            nursery.cancel_scope.cancel()


def _reset(stream: trio.SocketStream) -> None:
    stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    stream.socket.close()


# --- each fault -------------------------------------------------------------------------------


async def test_a_delay_is_waited_for_in_each_direction_and_changes_as_it_runs() -> None:
    async with way(Faults(delay_s=0.1)) as made:
        client, server = await made.pair()
        began = trio.current_time()
        await client.send_all(b"a")
        assert await server.receive_some() == b"a"
        await server.send_all(b"b")
        assert await client.receive_some() == b"b"
        assert trio.current_time() - began >= 0.2
        made.relay.do(Faults(delay_s=60))
        await client.send_all(b"c")
        assert await silent(server)


async def test_a_throttle_holds_for_one_connection() -> None:
    async with way(Faults(rate=50_000)) as made:
        client, server = await made.pair()
        began = trio.current_time()
        await client.send_all(bytes(10_000))
        await client.send_eof()
        assert len(await everything(server)) == 10_000
        assert trio.current_time() - began >= 0.19


async def test_a_stall_carries_nothing_and_goes_on_where_it_stopped() -> None:
    async with way() as made:
        client, server = await made.pair()
        await client.send_all(b"a")
        assert await server.receive_some() == b"a"
        made.relay.do(Faults(stalled=True))
        await client.send_all(b"b")
        await client.send_eof()
        assert await silent(server)
        made.relay.do(Faults())
        assert await everything(server) == b"b"


async def test_a_sender_is_held_back_by_a_stall_and_nothing_is_lost() -> None:
    async with way(Faults(stalled=True)) as made:
        client, server = await made.pair()
        sent = 0
        with trio.move_on_after(0.3):
            while sent < MUCH:
                sent += await client.socket.send(bytes(65_536))
        assert sent < MUCH
        made.relay.do(Faults())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send_eof)
            assert len(await everything(server)) == sent


@pytest.mark.parametrize("how", ["rst", "fin"])
async def test_a_cut_ends_both_sides(how: str) -> None:
    async with way() as made:
        client, server = await made.pair()
        assert made.relay.do(Cut("fin" if how == "fin" else "rst")) == 1
        for each in (client, server):
            if how == "fin":
                assert await each.receive_some() == b""
            else:
                with pytest.raises(trio.BrokenResourceError):
                    await each.receive_some()
        assert made.relay.do(Cut()) == 0
        await made.pair()  # who comes after it is carried
        assert made.relay.carrying == 1


async def test_a_share_is_cut_and_the_rest_goes_on() -> None:
    async with way() as made:
        pairs = [await made.pair() for _ in range(9)]
        assert made.relay.do(Cut(share=0.5)) == 5
        alive = 0
        for client, server in pairs:
            with suppress(trio.BrokenResourceError):
                await client.send_all(b"a")
                alive += await server.receive_some() == b"a"
        assert alive == 4


async def test_nobody_gets_in_while_it_refuses_and_who_is_in_stays() -> None:
    async with way() as made:
        client, server = await made.pair()
        made.relay.do(Faults(refusing=True))
        assert await refuses(made.port)
        await client.send_all(b"a")
        assert await server.receive_some() == b"a"
        made.relay.do(Faults())
        await made.pair()


async def test_half_open_ends_hear_nothing_of_each_other_not_even_the_end() -> None:
    async with way() as made:
        client, server = await made.pair()
        assert made.relay.do(HalfOpen()) == 1
        await client.send_all(b"a")
        await server.send_all(b"b")
        assert await silent(client)
        await client.aclose()
        assert await silent(server)
        await server.send_all(b"still there?")
        made.relay.do(Faults())
        assert await silent(server)
        other, behind = await made.pair()
        await other.send_all(b"a")
        assert await behind.receive_some() == b"a"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc")
async def test_half_open_connections_are_given_up_when_both_ends_have_gone() -> None:
    async with way() as made:
        client, server = await made.pair()
        made.relay.do(HalfOpen())
        before = open_files()
        await client.aclose()
        await server.aclose()
        await until(lambda: open_files() <= before - 4)


async def test_who_is_just_being_connected_is_cut_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with way() as made:
        monkeypatch.setattr(made.relay, "dial", trio.sleep_forever)
        async with await trio.open_tcp_stream("127.0.0.1", made.port) as client:
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert not made.relay.carrying
            assert made.relay.do(Cut()) == 1
            with pytest.raises(trio.BrokenResourceError):
                await client.receive_some()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
