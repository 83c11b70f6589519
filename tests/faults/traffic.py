"""The real program, started with ``--faults``, and a group of phones that keep moving on it.

The traffic is what a crash must not disturb: each phone sends its steps, 1, 2, 3 …, as latitudes,
and notes which steps of the others it saw. A test breaks something meanwhile and then asks
:meth:`Group.settled`: whether everybody has everybody's last step, over the connection that they
had from the start.
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import trio
import trio_websocket

from locshare.ops.faults import FaultClient, open_faults
from tests.contract.group import patiently
from tests.program import Program, data_directory, running_program
from tests.running import LAST_RESORT_S
from tests.sockets import Raw, request, trio_client

DEADLINE_S = LAST_RESORT_S
STEP_S = 0.03
LOST_S = 0.5
"""A step may be taken for lost when it was not seen for so long, where steps may be lost."""
_DEGREES = 1e-3


class Phone:
    """Moves and looks, until its connection ends."""

    def __init__(self, joined: dict[str, Any], socket: trio_websocket.WebSocketConnection) -> None:
        self.joined = joined
        self.user_id: str = joined["user_id"]
        self.socket = socket
        self.snapshot: dict[str, Any] = {}
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.seen: defaultdict[str, list[int]] = defaultdict(list)
        self.step = 0
        self.tired = False
        """Makes no more steps."""
        self.closed: int | None = None
        """The code with which the connection ended."""
        self.news = trio.Event()

    async def look(self) -> None:
        """Note what comes, until the end."""
        try:
            while True:
                message = json.loads(await self.socket.get_message())
                data = message["data"]
                if message["type"] == "location_update":
                    self.seen[data["user_id"]].append(round(data["lat"] / _DEGREES))
                elif message["type"] == "session_state":
                    assert not self.snapshot, "a second snapshot"
                    self.snapshot = data
                else:
                    self.events.append((message["type"], data))
                self._changed()
        except trio_websocket.ConnectionClosed as end:
            self.closed = end.reason.code if end.reason else 1006
            self._changed()

    async def move(self) -> None:
        """One step further."""
        self.step += 1
        position = {
            "lat": self.step * _DEGREES, "lng": 13.4, "accuracy": 5,
            "timestamp": "2026-03-01T12:00:00Z",
        }  # fmt: skip
        await self.socket.send_message(json.dumps({"type": "location_update", "data": position}))

    async def walk(self, others: Sequence["Phone"], patience_s: float = DEADLINE_S) -> None:
        """Move on and on. The next step is made when the others have seen the last one, or when
        they have not for ``patience_s``: so a step that nobody saw was lost, and not overtaken by a
        newer one before it was told.
        """
        self.tired = False
        while self.closed is None and not self.tired:
            try:
                await self.move()
            except trio_websocket.ConnectionClosed:
                return
            with trio.move_on_after(patience_s):
                for other in others:
                    while self.step not in other.seen[self.user_id][-1:]:
                        await other.news.wait()
            await trio.sleep(STEP_S)

    def _changed(self) -> None:
        news, self.news = self.news, trio.Event()
        news.set()

    async def until(self, what: Any) -> None:
        """Wait until ``what()`` is true, looking each time that something has come."""
        with trio.fail_after(DEADLINE_S):
            while not what():
                await self.news.wait()

    async def event(self, kind: str, **fields: object) -> dict[str, Any]:
        """Wait for an event with these fields; those that came before count."""

        def found() -> dict[str, Any] | None:
            for name, data in self.events:
                if name == kind and all(data.get(key) == value for key, value in fields.items()):
                    return data
            return None

        await self.until(found)
        event = found()
        assert event is not None
        return event


class Group:
    """One session and the phones in it."""

    def __init__(self, real: "Real", session_id: str) -> None:
        self.real = real
        self.session_id = session_id
        self.phones: list[Phone] = []

    @asynccontextmanager
    async def phone(self, joined: dict[str, Any] | None = None) -> AsyncIterator[Phone]:
        """Somebody joins and connects, or connects again."""
        joined = joined or (await self.join())
        token = f"locshare.bearer.{joined['websocket_token']}"
        async with (
            trio_client(joined["websocket_url"], ["locshare.v1", token]) as socket,
            trio.open_nursery() as nursery,
        ):
            phone = Phone(joined, socket)
            nursery.start_soon(phone.look)
            await phone.until(lambda: phone.snapshot or phone.closed)
            yield phone
            nursery.cancel_scope.cancel()

    async def refusal(self, joined: dict[str, Any]) -> int:
        """The HTTP status of the answer to a connection that is not let in."""
        port = int(self.real.program.ws_url.rpartition(":")[2])
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            raw = Raw(stream)
            await raw.send(request(f"/ws?token={joined['websocket_token']}"))
            return int((await raw.head()).split()[1])

    async def join(self, *, patient: bool = True) -> dict[str, Any]:
        """Somebody new. Only who is patient asks again when told to come back later."""

        async def ask() -> httpx.Response:
            return await self.real.post(f"/api/sessions/{self.session_id}/join", display_name="Ada")

        answer = await patiently(ask) if patient else await ask()
        assert answer.status_code == 201, answer.text
        joined: dict[str, Any] = answer.json()
        return joined

    @asynccontextmanager
    async def walking(self, patience_s: float = DEADLINE_S) -> AsyncIterator[None]:
        """Everybody moves during the block, and nobody's connection has ended when it ends. Steps
        are not lost, or ``patience_s`` is short.
        """
        async with trio.open_nursery() as nursery:
            for phone in self.phones:
                others = [other for other in self.phones if other is not phone]
                nursery.start_soon(phone.walk, others, patience_s)
            await trio.sleep(4 * STEP_S)
            yield
            await trio.sleep(4 * STEP_S)
            for phone in self.phones:
                phone.tired = True
        assert [phone.closed for phone in self.phones] == [None] * len(self.phones)

    async def settled(self, *, skipped: int = 0) -> None:
        """Nobody moves any more: wait until everybody knows where everybody is.

        Checks that steps came in order, and that no more than ``skipped`` of each were not seen.
        """
        for phone in self.phones:
            await phone.move()
        for phone in self.phones:
            for other in self.phones:
                if other is phone:
                    continue
                await phone.until(lambda p=phone, o=other: p.seen[o.user_id][-1:] == [o.step])
                seen = phone.seen[other.user_id]
                assert seen == sorted(seen), "an older position after a newer one"
                unseen = set(range(1, other.step + 1)) - set(seen)
                assert len(unseen) <= skipped, f"never seen: {sorted(unseen)} of {other.step}"

    async def check_snapshot(self) -> None:
        """Who joins now gets everybody, and where they are."""
        known = {phone.user_id: phone.step for phone in self.phones}
        async with self.phone() as late:
            people = {each["user_id"]: each["online"] for each in late.snapshot["participants"]}
            for phone in self.phones:
                assert people[phone.user_id]
            where = {
                each["user_id"]: round(each["lat"] / _DEGREES)
                for each in late.snapshot["positions"]
            }
            for phone in self.phones:
                # The newest step may be on its way, and the one before it be lost.
                assert known[phone.user_id] - 2 <= where[phone.user_id] <= phone.step


class Real:
    """The program, and the way to break it."""

    def __init__(self, program: Program, faults: FaultClient) -> None:
        self.program = program
        self.faults = faults

    async def post(self, path: str, **body: object) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.program.http_url, timeout=DEADLINE_S) as http:
            return await http.post(path, json=body)

    @asynccontextmanager
    async def group(self, size: int = 3) -> AsyncIterator[Group]:
        """A new session with so many phones."""
        created = await patiently(lambda: self.post("/api/sessions"))
        assert created.status_code == 201, created.text
        group = Group(self, created.json()["session_id"])
        async with AsyncExitStack() as stack:
            for _ in range(size):
                group.phones.append(await stack.enter_async_context(group.phone()))
            yield group

    async def restarts(self, path: str) -> int:
        """How often the child at ``path`` was restarted by its supervisor."""
        snapshot = await self.faults.snapshot()
        for _, view in snapshot.root.flat():
            if view.path == path:
                return view.restarts
        raise AssertionError(f"there is no {path}")


async def eventually(what: Callable[[], Awaitable[bool]]) -> None:
    """Ask the server again and again until ``what`` is true: it tells nobody by itself."""
    with trio.fail_after(DEADLINE_S):
        while not await what():  # noqa: ASYNC110 - nobody else knows when
            await trio.sleep(0.02)


@contextmanager
def faulty_program() -> Iterator[Program]:
    """A server that can be broken, with a database of its own."""
    with data_directory() as folder:
        environment = {
            "LOCSHARE_DATA_DIR": str(folder),
            "LOCSHARE_POSITION_PER_SECOND": "1000",
            "LOCSHARE_MESSAGE_PER_SECOND": "1000",
        }
        with running_program(environment, ("--faults",)) as program:
            yield program


def control_socket(program: Program) -> Path:
    return Path(program.environment["LOCSHARE_DATA_DIR"], "control.sock")


@asynccontextmanager
async def breaking(program: Program, *, clear: bool = True) -> AsyncIterator[Real]:
    """The program during one test; no fault is left in it afterwards, unless it is not to be there
    any more (``clear`` is false).
    """
    async with open_faults(control_socket(program)) as faults:
        # Tests follow each other faster than the root's budget allows its children to die.
        await faults.set_budget(".", 1000)
        yield Real(program, faults)
        if clear:
            await faults.clear()
            assert program.running
