"""People in sessions of a running server: they join, move, report, and leave.

:class:`Crowd` is the figures, which may be read at any time; :func:`simulate` is the task that
fills them. It ends in order, when its time is over or it is told to stop: sending ends, what is on
its way is waited for, everyone leaves, and the sessions that it has made are ended. Cancellation
ends it at once, and leaves the sessions to end by themselves.
"""

from collections import Counter, deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from math import inf
from random import Random
from typing import Final, TypeVar, final

import trio
from msgspec import Struct

from locshare.client import (
    ApiProblem,
    Client,
    ClientError,
    Live,
    NotConnected,
    SessionCreated,
    SessionJoined,
    Watcher,
    patiently,
)
from locshare.model.position import ParticipantPosition
from locshare.model.session import Snapshot
from locshare.simulate.cast import person
from locshare.simulate.cities import City
from locshare.simulate.ledger import LATENCIES_KEPT, Latency, Ledger, latency
from locshare.simulate.movement import Journey, Phone, journey, kind_of
from locshare.simulate.track import Track, TrackPoint
from locshare.wire.messages import Error, ServerMessage

AT_ONCE: Final = 8
"""People who join at the same time."""
CONNECT_DEADLINE_S: Final = 30.0
PATIENCE_S: Final = 5.0
"""How long the last deliveries are waited for, and then the last goodbye."""
RECENT: Final = 2_000
"""Deliveries that a latency shown in between is of."""
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
    """Of the whole: joining, connecting and moving. None: until told to stop."""
    movement: str = "mixed"
    tracks: tuple[list[TrackPoint], ...] = ()
    """Ways to follow instead."""
    speed_up: float = 1.0
    session_id: str | None = None
    """A session to join; none is made then."""
    ws_url: str | None = None
    """Instead of the URL that the server names, when that cannot be reached from here."""
    seed: int = 0

    @property
    def people(self) -> int:
        """All of them."""
        return self.size * (1 if self.session_id else self.sessions)


class CouldNotConnect(ClientError):
    """Nobody was connected in time. The text says to what, and what went wrong last."""


class Summary(Struct, frozen=True):
    """What came of it. ``lost`` and ``failed`` should be 0."""

    sessions: int
    people: int
    seconds: float
    sent: int
    expected: int
    received: int
    skipped: int
    waived: int
    lost: int
    foreign: int
    latency_ms: Latency
    reconnects: int
    failed: int
    errors: dict[str, int]


@final
class Crowd:
    """The figures of a simulation."""

    def __init__(self) -> None:
        self.latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self.ledgers: list[Ledger] = []
        self.people: list[Simulated] = []
        self.reconnects = 0
        self.failed = 0
        """People who were not connected when sending ended, or whose connection ended for good
        before. Nothing is lost with who is not there, so the account alone would not show them.
        """
        self.errors: Counter[str] = Counter()
        """By what happened, in few words."""
        self.trouble: ClientError | None = None
        """The last reason for which somebody could not join or connect."""
        self.sending_s = 0.0
        """How long positions were sent; 0 before the end of that."""

    @property
    def connected(self) -> int:
        """People who are connected now."""
        return sum(each.live.connected for each in self.people)

    @property
    def has_connected(self) -> bool:
        """Whether anyone was ever connected."""
        return any(each.live.has_connected.is_set() for each in self.people)

    @property
    def sent(self) -> int:
        """Updates."""
        return sum(each.sent for each in self.ledgers)

    @property
    def received(self) -> int:
        """Deliveries."""
        return sum(each.received for each in self.ledgers)

    @property
    def outstanding(self) -> int:
        """Deliveries on their way."""
        return sum(each.outstanding for each in self.ledgers)

    def recent_latency(self) -> Latency:
        """Of the newest deliveries."""
        return latency(list(islice(reversed(self.latencies), RECENT)))

    def summary(self) -> Summary:
        """All figures."""
        return Summary(
            sessions=len(self.ledgers),
            people=len(self.people),
            seconds=round(self.sending_s, 1),
            sent=self.sent,
            expected=sum(each.expected for each in self.ledgers),
            received=self.received,
            skipped=sum(each.skipped for each in self.ledgers),
            waived=sum(each.waived for each in self.ledgers),
            lost=sum(each.lost for each in self.ledgers),
            foreign=sum(each.foreign for each in self.ledgers),
            latency_ms=latency(list(self.latencies)),
            reconnects=self.reconnects,
            failed=self.failed,
            errors=dict(self.errors.most_common()),
        )


@final
class Simulated(Watcher):
    """One person: joined, with a phone, and a connection that comes back."""

    def __init__(
        self,
        crowd: Crowd,
        ledger: Ledger,
        session_id: str,
        ticket: SessionJoined,
        url: str,
        phone: Phone,
        seed: int,
    ) -> None:
        self.session_id = session_id
        self.ticket = ticket
        jitter = Random(seed)  # noqa: S311 - back-off, not a secret
        self.live = Live(url, ticket.websocket_token, watcher=self, random=jitter)
        self.gone = trio.Event()
        """Set when there is no connection and will be none."""
        self._crowd = crowd
        self._ledger = ledger
        self._phone = phone
        self._was_connected = False
        self._leaving = False
        self._failed = False
        self._newest = datetime.min.replace(tzinfo=UTC)
        ledger.add(ticket.user_id)

    # --- what the connection tells --------------------------------------------------------------

    def connected(self, snapshot: Snapshot) -> None:
        """See :meth:`Watcher.connected`."""
        self._ledger.connected(snapshot.you.user_id)
        self._crowd.reconnects += self._was_connected
        self._was_connected = True

    def received(self, message: ServerMessage) -> None:
        """See :meth:`Watcher.received`."""
        if isinstance(message, ParticipantPosition):
            sender, dated = message.user_id, message.timestamp
            self._ledger.receiving(self.ticket.user_id, sender, dated, trio.current_time())
        elif isinstance(message, Error):
            self._crowd.errors[message.code] += 1

    def disconnected(self, cause: ClientError, retry_in: float | None) -> None:
        """See :meth:`Watcher.disconnected`."""
        self._ledger.disconnected(self.ticket.user_id)
        self._crowd.trouble = cause
        if not self._leaving:
            self._crowd.errors[_in_few_words(cause)] += 1
            if retry_in is None:
                self.fail()

    def fail(self) -> None:
        """Count this person as failed, once."""
        self._crowd.failed += not self._failed
        self._failed = True

    # --- tasks ----------------------------------------------------------------------------------

    async def stay(self) -> None:
        """Be connected, until that cannot be any more."""
        try:
            await self.live.run()
        finally:
            self.gone.set()

    async def move(self, began: float, offset: float, interval: float) -> None:
        """Report every ``interval``, first at ``began + offset``, for ever."""
        due = began + offset
        while True:
            await trio.sleep_until(due)
            now = trio.current_time()
            if self.live.connected:
                # Two updates of one moment could not be told apart.
                self._newest = max(datetime.now(UTC), self._newest + timedelta(microseconds=1))
                position = self._phone.position(now - began, self._newest)
                # Once it is in the account it is sent, also when the end comes in this moment.
                with trio.CancelScope(shield=True, deadline=now + PATIENCE_S):
                    self._ledger.sending(self.ticket.user_id, self._newest, now)
                    await self.live.send_position(position)
            # What could not be sent in time is left out, not sent in a burst.
            while due <= now:
                due += interval

    async def leave(self, client: Client) -> None:
        """Leave for good, by the connection or else without it."""
        self._leaving = True
        if await self.live.leave():
            await self.gone.wait()
        elif not self.gone.is_set():
            try:
                token = self.ticket.websocket_token
                await client.remove(self.session_id, self.ticket.user_id, token)
            except ClientError as error:
                self._crowd.errors[_in_few_words(error)] += 1


def _in_few_words(cause: ClientError) -> str:
    if isinstance(cause, NotConnected):
        reason = cause.end.reason
        return f"closed {cause.end.code}" if reason is None else f"closed {reason.label}"
    if isinstance(cause, ApiProblem):
        return f"refused {cause.status} {cause.code}".rstrip()
    return type(cause).__name__.lower()


# --- the whole --------------------------------------------------------------------------------


async def simulate(
    plan: Plan,
    crowd: Crowd,
    stop: trio.Event,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Do what ``plan`` says, until its time is over or ``stop`` is set. Started when all who could
    are connected. What is on its way then, and the goodbye, may take PATIENCE_S more each.

    Raises ClientError when not all could join, CouldNotConnect when nobody was connected before
    the end; those who had joined have left then.
    """
    deadline = trio.current_time() + (inf if plan.duration is None else plan.duration)
    async with Client(plan.url) as client:
        gathering = _Gathering(client, plan, crowd)
        async with trio.open_nursery() as nursery:
            try:
                await gathering.run(stop, deadline)
                if gathering.refusal is None and not stop.is_set():
                    await _run(plan, crowd, stop, nursery, task_status, deadline)
            finally:
                await gathering.part()
            nursery.cancel_scope.cancel()
        if gathering.refusal is not None:
            raise gathering.refusal
        if not crowd.has_connected and not stop.is_set():
            raise _nobody(plan, crowd)


def _nobody(plan: Plan, crowd: Crowd) -> CouldNotConnect:
    within = "" if plan.duration is None else f" within {plan.duration:g} s"
    joined = f" ({len(crowd.people)} of {plan.people} had joined)" if crowd.people else ""
    why = "no answer" if crowd.trouble is None else crowd.trouble
    return CouldNotConnect(f"could not connect to {plan.url}{within}{joined}: {why}")


@final
class _Gathering:
    """The sessions made and the people joined, and how they part again."""

    def __init__(self, client: Client, plan: Plan, crowd: Crowd) -> None:
        self.refusal: ClientError | None = None
        """Why not all could join."""
        self._client = client
        self._plan = plan
        self._crowd = crowd
        self._made: list[SessionCreated] = []
        self._limit = trio.CapacityLimiter(AT_ONCE)

    async def run(self, stop: trio.Event, deadline: float) -> None:
        """Make the sessions, let everyone join; give up at the first refusal or at ``deadline``."""
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

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        async def noting() -> T:
            try:
                return await call()
            except ClientError as error:
                self._crowd.trouble = error
                raise

        return await patiently(noting)

    async def _make(self) -> str:
        created = await self._patiently(self._client.create_session)
        self._made.append(created)
        return created.session_id

    async def _join(self, number: int, index: int, session_id: str, ledger: Ledger) -> None:
        name, color = person(number)
        async with self._limit:
            join = partial(self._client.join, session_id, name, avatar_color=color)
            ticket = await self._patiently(join)
        plan, crowd = self._plan, self._crowd
        seed = plan.seed * 1_000_003 + index
        phone = Phone(_journey(plan, index, seed), seed)
        url = ticket.websocket_url if plan.ws_url is None else f"{plan.ws_url}/ws"
        crowd.people.append(Simulated(crowd, ledger, session_id, ticket, url, phone, seed))

    async def part(self) -> None:
        """Everyone leaves; the sessions made here end. It takes PATIENCE_S at most."""
        with trio.move_on_after(PATIENCE_S / 2):
            async with trio.open_nursery() as leaving:
                for each in self._crowd.people:
                    leaving.start_soon(each.leave, self._client)
        with trio.move_on_after(PATIENCE_S / 2):
            for session in self._made:
                end = partial(self._client.end, session.session_id, session.host_token)
                try:
                    await patiently(end, tries=3)
                except ClientError as error:
                    self._crowd.errors[_in_few_words(error)] += 1


def _first(group: BaseExceptionGroup[ClientError]) -> ClientError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _journey(plan: Plan, number: int, seed: int) -> Journey:
    if not plan.tracks:
        return journey(kind_of(plan.movement, number), plan.city, seed)
    again, index = divmod(number, len(plan.tracks))
    # Who shares a way with others is somewhere else on it.
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
    """Connect everyone, let them move until the end, and wait for what is on its way."""
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
    for _ in range(round(PATIENCE_S / _CHECK_S)):
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
