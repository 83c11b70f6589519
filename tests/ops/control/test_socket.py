"""The control socket: who can open it, what is asked, what goes wrong."""

import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing
from msgspec import Struct

from locshare.ops.control import ControlError, ControlServer, Operation, Send, open_control
from locshare.ops.control.protocol import MAX_REQUEST_BYTES
from tests.running import LAST_RESORT_S

DEADLINE_S = LAST_RESORT_S


class Double(Struct, frozen=True, tag_field="do", tag="double", forbid_unknown_fields=True):
    number: int


class Count(Struct, frozen=True, tag_field="do", tag="count"):
    up_to: int = 1_000_000_000


class Break(Struct, frozen=True, tag_field="do", tag="break"):
    pass


class Desk:
    """Operations, and what became of them."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.changed = trio.Event()

    def operations(self) -> list[Operation]:
        return [
            Operation(Double, self.double),
            Operation(Count, self.count),
            Operation(Break, self.fail),
        ]

    async def double(self, request: Double, _send: Send) -> int:
        if request.number < 0:
            raise ControlError("refused", "only numbers from 0")
        return request.number * 2

    async def count(self, request: Count, send: Send) -> str:
        try:
            for number in range(request.up_to):
                await send(number)
                await trio.lowlevel.checkpoint()
        except BaseException as error:
            self.ended.append(type(error).__name__)
            self.changed.set()
            raise
        return "counted"

    async def fail(self, _request: Break, _send: Send) -> None:
        raise ZeroDivisionError("a fault of the program")


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="locshare-") as folder:
        yield Path(folder) / "deep" / "control.sock"


@asynccontextmanager
async def served(path: Path) -> AsyncIterator[Desk]:
    desk = Desk()
    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(ControlServer(path, desk.operations()).serve)
            yield desk
            nursery.cancel_scope.cancel()


async def test_a_request_is_answered_and_the_next_one_on_the_same_connection(path: Path) -> None:
    async with served(path), open_control(path) as control:
        assert await control.ask(Double(4), int) == 8
        assert await control.ask(Double(5), int) == 10


async def test_only_the_owner_can_open_it_and_it_is_gone_afterwards(path: Path) -> None:
    async with served(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert list(path.parent.iterdir()) == [path], "nothing else is left of making it"
    assert not path.exists()


async def test_an_answer_of_many_items(path: Path) -> None:
    async with served(path), open_control(path) as control:
        assert [item async for item in control.stream(Count(4), int)] == [0, 1, 2, 3]
        assert await control.ask(Count(3), str) == "counted"


async def test_an_operation_ends_when_its_client_hangs_up(path: Path) -> None:
    async with served(path) as desk:
        async with open_control(path) as control:
            async for number in control.stream(Count(), int):
                if number == 3:
                    break
        await desk.changed.wait()
        assert desk.ended in (["Cancelled"], ["_ClientGone"])


async def test_a_client_that_closed_its_sending_side_is_still_answered(path: Path) -> None:
    async with served(path), await trio.open_unix_socket(str(path)) as stream:
        await stream.send_all(b'{"do":"double","number":21}\n{"do":"double","number":1}\n')
        await stream.send_eof()
        answer = b""
        while answer.count(b"\n") < 2:
            answer += await stream.receive_some()
        assert answer == b'{"done":42}\n{"done":2}\n'


async def raw(path: Path, line: bytes) -> bytes:
    async with await trio.open_unix_socket(str(path)) as stream:
        await stream.send_all(line)
        answer = b""
        while not answer.endswith(b"\n"):
            chunk = await stream.receive_some()
            if not chunk:
                break
            answer += chunk
        return answer


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"hello\n", b"there are double, count, break"),
        (b'{"do":"dooble"}\n', b"'dooble'"),
        (b'{"do":"double"}\n', b"`number`"),
        (b'{"do":"double","number":"x"}\n', b"$.number"),
        (b'{"do":"double","number":1,"more":1}\n', b"`more`"),
        (b"\xff\xfe\n", b"bad_request"),
        (b"x" * (MAX_REQUEST_BYTES + 70_000), b"longer than"),
    ],
)
async def test_a_bad_request_is_answered_with_the_fault(
    path: Path, line: bytes, says: bytes
) -> None:
    async with served(path):
        answer = await raw(path, line)
        assert b'"code":"bad_request"' in answer
        assert says in answer


async def test_an_error_of_an_operation_reaches_its_client_and_ends_nothing_else(
    path: Path,
) -> None:
    async with served(path), open_control(path) as control:
        with pytest.raises(ControlError, match="only numbers from 0") as refused:
            await control.ask(Double(-1))
        assert refused.value.code == "refused"
        with pytest.raises(ControlError, match="ZeroDivisionError") as broken:
            await control.ask(Break())
        assert broken.value.code == "internal_error"
        assert "a fault" not in broken.value.message, "an exception's text may quote anything"
        assert await control.ask(Double(1), int) == 2


async def test_when_the_server_ends_its_clients_see_it(path: Path) -> None:
    async with served(path):
        control_context = open_control(path)
        control = await control_context.__aenter__()
        assert await control.ask(Double(1), int) == 2
    with pytest.raises(ControlError, match="closed the control socket"):
        await control.ask(Double(1))
    await control_context.__aexit__(None, None, None)


async def test_the_file_of_a_dead_server_is_replaced_that_of_a_living_one_is_not(
    path: Path,
) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with served(path), open_control(path) as control:
        assert await control.ask(Double(2), int) == 4
        with pytest.raises(OSError, match="another server"):
            await ControlServer(path, []).serve()
        assert await control.ask(Double(3), int) == 6
    path.write_text("something of somebody's")
    with pytest.raises(OSError, match="is not a socket"):
        await ControlServer(path, []).serve()
    assert path.read_text() == "something of somebody's"


async def test_a_path_that_is_too_long_is_refused(path: Path) -> None:
    with pytest.raises(OSError, match="more than 103 bytes"):
        await ControlServer(path.parent / ("x" * 100), []).serve()


async def test_a_path_without_a_server_is_unreachable(path: Path) -> None:
    with pytest.raises(ControlError, match="no server runs there") as error:
        async with open_control(path):
            raise AssertionError
    assert error.value.code == "unreachable"


async def test_thirty_two_at_once_and_no_more(path: Path) -> None:
    async with served(path):
        streams: list[Any] = []
        for _ in range(32):
            stream = await trio.open_unix_socket(str(path))
            await stream.send_all(b'{"do":"double","number":1}\n')
            assert await stream.receive_some() == b'{"done":2}\n'
            streams.append(stream)
        assert b"there are 32 connections" in await raw(path, b'{"do":"double","number":1}\n')
        for stream in streams:
            await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert await raw(path, b'{"do":"double","number":1}\n') == b'{"done":2}\n'
