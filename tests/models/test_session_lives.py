"""Random lives of sessions: whatever is called, cancelled, killed or put to sleep, and in whatever
order, in the end each session is whole and can be reached.

Hypothesis plays the callers, the phones, the database and whoever kills supervisors, on a server
that has room for three of five sessions. No model says what each call answers; what must hold is
what :mod:`locshare.session.lifecycle` promises, once everybody has gone and the reaper has passed.
"""

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, get_args
from uuid import UUID

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from locshare.actors.introspect import kill
from locshare.actors.testing import settle
from locshare.model.errors import LocshareError
from locshare.model.participant import Role
from locshare.session.directory.directory import SESSIONS
from locshare.session.errors import SessionFull, SessionOver
from locshare.session.limits import SessionLimits
from locshare.session.link import SessionLink
from locshare.supervisor import DynamicSupervisorRef
from tests.session.kit import House, Phone, house, position

LIMITS = SessionLimits(max_participants=4, inactive_after=900)
SESSION_COUNT, ROOM = 5, 3

What = Literal[
    "join", "connect", "update", "detach", "leave", "remove", "set role", "end", "sleep",
    "crash", "kill session", "kill all", "database away", "database back", "time",
]  # fmt: skip


@dataclass(frozen=True)
class Step:
    """``who`` chooses a session and a person; ``patience``: when the call is cancelled, in seconds;
    ``turns``: of the loop, before the next step.
    """

    what: What
    who: int
    patience: float | None
    turns: int


OFTEN: list[What] = [
    "join", "connect", "connect", "update", "detach", "crash", "sleep", "kill all", "time",
]  # fmt: skip
steps = st.builds(
    Step,
    st.sampled_from([*OFTEN, *get_args(What)]),
    st.integers(0, 19),
    st.sampled_from([None, None, 0.0, 0.001, 1.0, 6.0]),
    st.sampled_from([0, 0, 1, 2, 5]),
)


@dataclass
class World:
    """The server, and who is in its sessions."""

    home: House
    sessions: list[UUID]
    people: list[tuple[UUID, str]] = field(default_factory=list)
    links: list[SessionLink] = field(default_factory=list)
    killed_at: float = -math.inf

    def call(self, step: Step) -> Callable[[], Awaitable[object]] | None:
        """What the step calls, if there is somebody to do it."""
        manager = self.home.manager
        session = self.sessions[step.who % SESSION_COUNT]
        match step.what:
            case "join":
                return lambda: self.join(session, "host" if step.who % 3 == 0 else "participant")
            case "update" if self.links:
                link = self.links[step.who % len(self.links)]
                return lambda: link.update(position(step.who))
            case "leave" if self.links:
                return self.links[step.who % len(self.links)].leave
            case "end" if step.who == 0:
                return lambda: manager.end(session)
            case "sleep":
                table = manager.directory._tables.get(session)
                return None if table is None else lambda: manager.lifecycle.put_to_sleep(table)
        if not self.people:
            return None
        session, user_id = self.people[step.who % len(self.people)]
        match step.what:
            case "connect":
                return lambda: self.connect(session, user_id)
            case "remove" if step.who % 4 == 0:
                return lambda: manager.remove(session, user_id)
            case "set role":
                role: Role = "host" if step.who % 2 else "participant"
                return lambda: manager.set_role(session, user_id, role)
        return None

    async def join(self, session: UUID, role: Role) -> None:
        self.people.append((session, await self.home.join(session, role, role)))

    async def connect(self, session: UUID, user_id: str) -> None:
        link = await self.home.manager.open(session, user_id)
        try:
            await link.attach(Phone(user_id))
        except BaseException:
            link.detach()
            raise
        self.links.append(link)

    def happens(self, step: Step) -> None:
        """What nobody calls."""
        home, session = self.home, self.sessions[step.who % SESSION_COUNT]
        table = home.manager.directory._tables.get(session)
        match step.what:
            case "detach" if self.links:
                self.links.pop(step.who % len(self.links)).detach()
            case "crash" if (actor := home.names.lookup(session)) is not None:
                actor.cast("a message that no session knows")
            case "kill session" if table is not None and table.local.supervisor is not None:
                kill(table.local.supervisor)
            case "kill all" if (sessions := home.names.lookup(SESSIONS)) is not None:
                if trio.current_time() - self.killed_at >= 2:  # or the root gives up
                    self.killed_at = trio.current_time()
                    kill(sessions)
            case "database away":
                home.store.away = step.who < 5
            case "database back":
                self.database_is_back()

    def database_is_back(self) -> None:
        self.home.store.away = False
        self.home.store.write_late()


async def attempt(call: Callable[[], Awaitable[object]], patience: float | None) -> None:
    """What the program refuses with is an answer; anything else that is raised is a bug."""
    with trio.move_on_after(math.inf if patience is None else patience), suppress(LocshareError):
        await call()


async def live(history: list[Step]) -> None:
    async with house(LIMITS, max_sessions=ROOM) as home:
        world = World(home, [await home.session() for _ in range(SESSION_COUNT)])
        async with trio.open_nursery() as nursery:
            for step in history:
                call = world.call(step)
                if call is not None:
                    nursery.start_soon(attempt, call, step.patience)
                world.happens(step)
                if step.what == "time":
                    await trio.sleep((0.01, 1, 16, 61)[step.who % 4])
                for _ in range(step.turns):
                    await trio.lowlevel.checkpoint()
        world.database_is_back()
        for link in world.links:
            link.detach()
        await trio.sleep(2 * LIMITS.sweep_interval + LIMITS.offline_grace)
        await settle()
        await all_is_well(world)


async def all_is_well(world: World) -> None:
    home = world.home
    tables = home.manager.directory._tables
    sessions = home.names.lookup(SESSIONS)
    assert isinstance(sessions, DynamicSupervisorRef)
    assert sessions.count_children().specs == len(tables), "who is in memory has an actor"
    assert not home.manager.lifecycle._transitions, "nothing is under way"
    for session, table in tables.items():
        assert table.ended is None
        assert not table.departed
        assert not table.receivers
        assert table.local.use_count == 0, "nobody holds it"
        rows = home.store.participants[session]
        assert {user_id: member.role for user_id, member in table.roster.items()} == {
            user_id: rows[user_id].role for user_id in table.roster
        }, "the store says the same"
    for session in world.sessions:
        try:
            user_id = await home.join(session, "Host", "host")
        except SessionOver:
            continue
        except SessionFull:
            assert len(home.table(session).roster) >= LIMITS.max_participants
        else:
            await world.connect(session, user_id)
            world.links.pop().detach()


@settings(max_examples=80, deadline=None)
@given(history=st.lists(steps, min_size=40, max_size=100))
def test_in_the_end_each_session_is_whole_and_can_be_reached(history: list[Step]) -> None:
    trio.run(live, history, clock=MockClock(autojump_threshold=0))
