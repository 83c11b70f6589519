"""docs/architecture.md shows the calls of a position, and the tree, as the code has them."""

import json
import math
import re
import sys
from collections.abc import Hashable
from datetime import UTC, datetime, timedelta
from inspect import CO_COROUTINE
from pathlib import Path
from types import FrameType
from typing import Any, Final
from uuid import UUID

from locshare.actors import Registry
from locshare.broadcast.flush_controller import FlushController
from locshare.broadcast.flush_window import FlushWindowLimits
from locshare.config import Settings
from locshare.server import tree
from locshare.session.directory.directory import SESSIONS
from locshare.session.manager import SessionManager
from locshare.supervisor import DynamicSpec, SupervisorSpec, open_supervisor
from tests.connection.kit import Claims, raw_tcp, serving
from tests.documents.pages import ROOT
from tests.doubles import MemoryStore
from tests.sockets import Raw, client_frame, request

OURS: Final = str(ROOT / "src" / "locshare")
ARCHITECTURE: Final = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def shown() -> list[tuple[str, set[str]]]:
    """Each call with the files and folders of its row, by their last names."""
    table = ARCHITECTURE.partition("### The same walk, call by call")[2].partition("\n## ")[0]
    return [
        (name.rpartition(".")[2], {Path(place).name for place in re.findall(r"`(\S+?)`", where)})
        for where, calls in re.findall(r"^\| (`.*) \| (.+) \|$", table, re.MULTILINE)
        for name in re.findall(r"`([\w.]+)`", calls)
    ]


class Calls:
    """A profiler that notes the calls of our functions and of the compiled send loop. A coroutine
    that goes on is no call.
    """

    def __init__(self) -> None:
        self.found: list[tuple[str, set[str]]] = []
        """Names, each with its file and folder."""

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "c_call" and argument.__qualname__ == "Fan.send":
            self.found.append(("send", {"native"}))
        if event != "call" or code.co_flags & CO_COROUTINE or "<" in code.co_name:
            return
        if code.co_filename.startswith(OURS):
            name = code.co_qualname.removesuffix(".__init__").rpartition(".")[2]
            file = Path(code.co_filename)
            self.found.append((name, {file.name, file.parent.name}))


class Verifier:
    """The token is the user_id."""

    def __init__(self, session_id: UUID) -> None:
        self._session_id = session_id

    def verify(self, token: str) -> Claims:
        return Claims(token, self._session_id)


async def connect(raw: Raw, user_id: str) -> None:
    await raw.send(request(f"/ws?token={user_id}"))
    assert (await raw.head()).startswith(b"HTTP/1.1 101 ")
    assert b"session_state" in (await raw.frame())[1]


async def report(sender: Raw, receiver: Raw) -> None:
    fix = {"lat": 1.0, "lng": 2.0, "accuracy": 3, "timestamp": datetime.now(UTC).isoformat()}
    text = json.dumps({"type": "location_update", "data": fix})
    await sender.send(client_frame(text.encode()))
    while b"location_update" not in (await receiver.frame())[1]:
        pass  # an event


async def test_the_walk_shows_each_call_of_a_position_in_order() -> None:
    names: Registry[Hashable] = Registry()
    window = FlushController(FlushWindowLimits()).window
    manager = SessionManager(MemoryStore(), names, window=window)
    sessions = DynamicSpec(max_children=1).child(SESSIONS, register=names.name(SESSIONS))
    calls = Calls()
    async with open_supervisor(SupervisorSpec([sessions])):
        session_id = (await manager.create(name=None, expires_in=timedelta(hours=1))).id
        people = [
            await manager.join(
                session_id, display_name=name, avatar_color="#112233", role="participant"
            )
            for name in ("Ada", "Bo")
        ]
        async with (
            serving(verifier=Verifier(session_id), sessions=manager) as server,
            raw_tcp(server) as sender,
            raw_tcp(server) as receiver,
        ):
            for raw, person in zip((sender, receiver), people, strict=True):
                await connect(raw, person.user_id)
            await report(sender, receiver)  # the first sets timers and finds the fan
            manager._counters.times.due = math.inf  # nor is the second one timed
            sys.setprofile(calls)
            try:
                await report(sender, receiver)
            finally:
                sys.setprofile(None)
            server.nursery.cancel_scope.cancel()
    assert [name for name, _ in calls.found] == [name for name, _ in shown()]
    for (name, places), (_, row) in zip(calls.found, shown(), strict=True):
        assert places & row, f"{name} is in none of the files of its row: {places}"


def test_the_tree_is_shown_in_the_order_in_which_it_starts(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, internal_bind="127.0.0.1:0", debug_bind="127.0.0.1:0")
    children = [spec.id for spec in tree.Application(settings).tree().children]
    for text in (ARCHITECTURE, tree.__doc__ or ""):
        assert re.findall(r"^ *[├└]── (\w+)", text, re.MULTILINE) == children
