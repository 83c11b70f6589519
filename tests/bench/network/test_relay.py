"""The relay on real sockets: what goes in comes out, whatever is done to it, until it is cut."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.network.relay import HELD_BYTES_MAX, DelayLine, Impairment, Relay
from bench.servers import free_port
from tests.running import LAST_RESORT_S

DEADLINE_S = LAST_RESORT_S
NO_IMPAIRMENT = Impairment()
MUCH = 64 * HELD_BYTES_MAX
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
        client = await trio.open_tcp_stream("127.0.0.1", self.port)
        server = await self.arrivals.receive()
        self.opened += [client, server]
        return client, server


@asynccontextmanager
async def way(impairment: Impairment = NO_IMPAIRMENT) -> AsyncIterator[Way]:
    send, arrivals = trio.open_memory_channel[trio.SocketStream](100)

    async def arrive(stream: trio.SocketStream) -> None:
        await send.send(stream)
        await trio.sleep_forever()

    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
            [behind] = await trio.open_tcp_listeners(0, host="127.0.0.1")
            port = behind.socket.getsockname()[1]
            relay = Relay("127.0.0.1", port, impairment, seed=1)
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

# Little ones: an example takes some milliseconds. Imitated loss takes 200 ms.
impairments = st.one_of(
    st.just(Impairment()),
    st.builds(Impairment, st.floats(0, 0.004), st.floats(0, 0.004), st.just(0.0)),
)
chunks = st.lists(st.binary(min_size=1, max_size=2_000), max_size=6)


@settings(max_examples=40)
@given(chunks, chunks, impairments)
def test_both_ways_all_bytes_come_in_order(
    up: Sequence[bytes], down: Sequence[bytes], impairment: Impairment
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

        async with way(impairment) as made:
            client, server = await made.pair()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(say, client, up)
                nursery.start_soon(say, server, down)
                nursery.start_soon(hear, "client", client)
                nursery.start_soon(hear, "server", server)
            assert heard == {"client": b"".join(down), "server": b"".join(up)}

    trio.run(main)


@settings(max_examples=20)
@given(impairments, st.integers(0, 5))
def test_what_comes_before_a_cut_is_a_beginning_of_what_was_sent(
    impairment: Impairment, milliseconds: int
) -> None:
    whole = bytes(range(256)) * 4_000

    async def main() -> None:
        async with way(impairment) as made:
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
                assert made.relay.cut() <= 1
            assert whole.startswith(bytes(heard))

    trio.run(main)


# --- without impairment --------------------------------------------------------------------------


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
        await until(lambda: not made.relay._connections)


async def test_a_slow_reader_holds_the_sender_back_and_then_gets_everything() -> None:
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


async def test_without_impairment_nothing_is_delayed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with way() as made:
        with monkeypatch.context() as patch:
            patch.delattr(DelayLine, "put")
            client, server = await made.pair()
            await client.send_all(b"hello")
            assert await server.receive_some() == b"hello"


async def test_a_reset_is_passed_on_as_one_behind_what_was_sent_before_it() -> None:
    async with way(Impairment(delay_s=0.05)) as made:
        client, server = await made.pair()
        await server.send_all(b"last words")
        await trio.sleep(0.02)  # else the reset would overtake them in the server's own system
        _reset(server)
        assert await client.receive_some() == b"last words"
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()


async def test_a_reset_of_the_target_resets_the_source() -> None:
    async with way() as made:
        client, server = await made.pair()
        _reset(server)
        with pytest.raises(trio.BrokenResourceError):
            await chatter(client)


async def test_a_connection_is_reset_when_the_target_refuses() -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = free_port()
    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Relay("127.0.0.1", port, Impairment()).serve, listener)
            assert await refuses(listener.socket.getsockname()[1])
            nursery.cancel_scope.cancel()


def _reset(stream: trio.SocketStream) -> None:
    stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    stream.socket.close()


# --- impairment ----------------------------------------------------------------------------------


async def test_a_delay_is_waited_for_in_each_direction() -> None:
    async with way(Impairment(delay_s=0.1)) as made:
        client, server = await made.pair()
        began = trio.current_time()
        await client.send_all(b"a")
        assert await server.receive_some() == b"a"
        await server.send_all(b"b")
        assert await client.receive_some() == b"b"
        assert trio.current_time() - began >= 0.2


async def test_a_cut_resets_both_sides_and_new_connections_until_restored() -> None:
    async with way() as made:
        client, server = await made.pair()
        await client.send_all(b"a")  # the relay may still be dialling, though the server has it
        assert await server.receive_some() == b"a"
        assert made.relay.cut() == 1
        for each in (client, server):
            with pytest.raises(trio.BrokenResourceError):
                await each.receive_some()
        assert await refuses(made.port)
        assert made.relay.cut() == 0
        made.relay.restore()
        client, server = await made.pair()
        await client.send_all(b"a")
        assert await server.receive_some() == b"a"


async def test_a_pending_connection_is_cut_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with way() as made:
        monkeypatch.setattr(made.relay, "dial", trio.sleep_forever)
        async with await trio.open_tcp_stream("127.0.0.1", made.port) as client:
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert made.relay.cut() == 1
            with pytest.raises(trio.BrokenResourceError):
                await client.receive_some()
