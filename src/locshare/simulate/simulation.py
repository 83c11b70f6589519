"""Runs a simulation: participants of a running server join, move, report, and leave.

:func:`simulate` is the task. When the time is over or ``stop`` is set, sending ends, outstanding
deliveries are awaited, all participants leave, and the sessions made here are ended. Cancellation
ends the task at once; the sessions then expire.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from typing import Final, TypeVar, final

import trio
from msgspec import Struct

from locshare.client import (
    Client,
    ClientError,
    SessionCreated,
    retry,
)
from locshare.simulate.cities import City
from locshare.simulate.crowd import Crowd, SimulatedParticipant, error_label
from locshare.simulate.ledger import Ledger
from locshare.simulate.movement import Journey, Phone, journey, kind_of
from locshare.simulate.people import person
from locshare.simulate.track import Track, TrackPoint

MAX_CONCURRENT_JOINS: Final = 8
CONNECT_DEADLINE_S: Final = 30.0
DRAIN_TIMEOUT_S: Final = 5.0
"""For outstanding deliveries, and again for leaving."""
_CHECK_S: Final = 0.02

T = TypeVar("T")


class Plan(Struct, frozen=True):
    """What to simulate. Times in seconds."""

    url: str
    city: City
    sessions: int = 1
    size: int = 8
    interval: float = 2.0
    duration: float | None = None
    """Of joining, connecting and moving together. None: until stopped."""
    movement: str = "mixed"
    tracks: tuple[list[TrackPoint], ...] = ()
    """Recorded tracks to follow instead of ``movement``."""
    speed_up: float = 1.0
    session_id: str | None = None
    link_key: str | None = None
    """Join this session instead of making sessions."""
    ws_url: str | None = None
    """Replaces the URL that the server names, when that cannot be reached from here."""
    seed: int = 0

    @property
    def people(self) -> int:
        """The number of participants."""
        return self.size * (1 if self.session_id else self.sessions)


class CouldNotConnect(ClientError):
    """No participant was connected in time. The text names the URL and the last error."""


async def simulate(
    plan: Plan,
    crowd: Crowd,
    stop: trio.Event,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run ``plan`` until its time is over or ``stop`` is set. Started when all participants that
    can connect are connected. Outstanding deliveries and leaving take DRAIN_TIMEOUT_S more at most,
    each.

    Raises ClientError when some could not join, CouldNotConnect when none was connected before the
    end. All that had joined have left then.
    """
    deadline = trio.current_time() + (inf if plan.duration is None else plan.duration)
    async with Client(plan.url) as client:
        setup = _Setup(client, plan, crowd)
        async with trio.open_nursery() as nursery:
            try:
                await setup.run(stop, deadline)
                if setup.refusal is None and not stop.is_set():
                    await _run(plan, crowd, stop, nursery, task_status, deadline)
            finally:
                await setup.teardown()
            nursery.cancel_scope.cancel()
        if setup.refusal is not None:
            raise setup.refusal
        if not crowd.has_connected and not stop.is_set():
            raise _nobody(plan, crowd)


def _nobody(plan: Plan, crowd: Crowd) -> CouldNotConnect:
    within = "" if plan.duration is None else f" within {plan.duration:g} s"
    joined = f" ({len(crowd.people)} of {plan.people} had joined)" if crowd.people else ""
    why = "no answer" if crowd.last_error is None else crowd.last_error
    return CouldNotConnect(f"could not connect to {plan.url}{within}{joined}: {why}")


@final
class _Setup:
    """Makes the sessions, lets the participants join, and takes both down again."""

    def __init__(self, client: Client, plan: Plan, crowd: Crowd) -> None:
        self.refusal: ClientError | None = None
        """Why some participants could not join."""
        self._client = client
        self._plan = plan
        self._crowd = crowd
        self._made: list[SessionCreated] = []
        self._limit = trio.CapacityLimiter(MAX_CONCURRENT_JOINS)

    async def run(self, stop: trio.Event, deadline: float) -> None:
        """Make the sessions and join; give up at the first refusal or at ``deadline``."""
        complete = False
        async with trio.open_nursery() as nursery:
            nursery.cancel_scope.deadline = deadline
            nursery.start_soon(_cancel_when, stop, nursery.cancel_scope)
            try:
                async with trio.open_nursery() as joining:
                    for group in range(self._plan.people // self._plan.size):
                        session_id = self._plan.session_id or await self._make()
                        ledger = Ledger(self._crowd.latencies)
                        self._crowd.ledgers.append(ledger)
                        for number in range(self._plan.size):
                            index = group * self._plan.size + number
                            joining.start_soon(self._join, number, index, session_id, ledger)
            except* ClientError as refusals:
                self.refusal = _first(refusals)
            complete = self.refusal is None
            nursery.cancel_scope.cancel()
        if self.refusal is None and not complete and not stop.is_set():
            self.refusal = _nobody(self._plan, self._crowd)

    async def _retry(self, call: Callable[[], Awaitable[T]]) -> T:
        async def noting() -> T:
            try:
                return await call()
            except ClientError as error:
                self._crowd.last_error = error
                raise

        return await retry(noting)

    async def _make(self) -> str:
        created = await self._retry(self._client.create_session)
        self._made.append(created)
        return created.session_id

    async def _join(self, number: int, index: int, session_id: str, ledger: Ledger) -> None:
        name, color = person(number)
        async with self._limit:
            key = self._plan.link_key
            join = partial(self._client.join, session_id, name, avatar_color=color, link_key=key)
            ticket = await self._retry(join)
        plan, crowd = self._plan, self._crowd
        seed = plan.seed * 1_000_003 + index
        phone = Phone(_journey(plan, index, seed), seed)
        url = ticket.websocket_url if plan.ws_url is None else f"{plan.ws_url}/ws"
        crowd.people.append(
            SimulatedParticipant(crowd, ledger, session_id, ticket, url, phone, seed)
        )

    async def teardown(self) -> None:
        """Leave and end the sessions made here, within DRAIN_TIMEOUT_S."""
        with trio.move_on_after(DRAIN_TIMEOUT_S / 2):
            async with trio.open_nursery() as leaving:
                for each in self._crowd.people:
                    leaving.start_soon(each.leave, self._client)
        with trio.move_on_after(DRAIN_TIMEOUT_S / 2):
            for session in self._made:
                end = partial(self._client.end, session.session_id, session.host_token)
                try:
                    await retry(end, tries=3)
                except ClientError as error:
                    self._crowd.errors[error_label(error)] += 1


def _first(group: BaseExceptionGroup[ClientError]) -> ClientError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _journey(plan: Plan, number: int, seed: int) -> Journey:
    if not plan.tracks:
        return journey(kind_of(plan.movement, number), plan.city, seed)
    again, index = divmod(number, len(plan.tracks))
    # Participants that share a track start at different points of it.
    start = again / max(1, -(-plan.people // len(plan.tracks)))
    return Track(plan.tracks[index], speed_up=plan.speed_up, start=start)


async def _run(
    plan: Plan,
    crowd: Crowd,
    stop: trio.Event,
    nursery: trio.Nursery,
    task_status: trio.TaskStatus[None],
    deadline: float,
) -> None:
    """Connect, move until the end, and await the outstanding deliveries."""
    for each in crowd.people:
        nursery.start_soon(each.stay)
    async with trio.open_nursery() as moving:
        moving.start_soon(_cancel_when, stop, moving.cancel_scope)
        moving.start_soon(_cancel_when_all_are_gone, crowd, moving.cancel_scope)
        with trio.move_on_at(min(deadline, trio.current_time() + CONNECT_DEADLINE_S)):
            for each in crowd.people:
                await each.live.has_connected.wait()
        if not crowd.has_connected:
            moving.cancel_scope.cancel()
            return
        task_status.started()
        began = trio.current_time()
        try:
            for number, each in enumerate(crowd.people):
                offset = plan.interval * number / len(crowd.people)
                moving.start_soon(each.move, began, offset, plan.interval)
            await trio.sleep_until(deadline)
        finally:
            crowd.sending_s = trio.current_time() - began
            for each in crowd.people:
                if not each.live.connected:
                    each.fail()
        moving.cancel_scope.cancel()
    for _ in range(round(DRAIN_TIMEOUT_S / _CHECK_S)):
        if not crowd.outstanding:
            break
        await trio.sleep(_CHECK_S)
    for ledger in crowd.ledgers:
        ledger.close()


async def _cancel_when(stop: trio.Event, scope: trio.CancelScope) -> None:
    await stop.wait()
    scope.cancel()


async def _cancel_when_all_are_gone(crowd: Crowd, scope: trio.CancelScope) -> None:
    for each in crowd.people:
        await each.gone.wait()
    scope.cancel()
