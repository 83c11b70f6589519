"""What an actor's mailbox and its calls should be, in plain Python: no tasks, no Trio.

One actor, life after life, and the senders that each send one thing. The model knows the queue, the
senders that wait for room, what is being handled, and the outcome of each send and its instant.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Literal

from locshare.actors import Overflow

#: How something is sent. ``down`` and ``timer`` are sent by the runtime and are exempt.
Kind = Literal["cast", "info", "offer", "deliver", "call", "down", "timer"]
#: What its handling does. "slow" takes a second; "later" leaves a call unanswered, "answer" answers
#: the oldest of these; "arm" sets a timer, "disarm" cancels the last one.
Work = Literal["quick", "slow", "crash", "halt", "later", "answer", "arm", "disarm"]

TIMER = 1.375


@dataclass(eq=False)
class Entry:
    number: int
    kind: Kind
    work: Work = "quick"
    gone: bool = False  #: of a call: the caller has gone; of a timer: cancelled


@dataclass(eq=False)
class Life:
    """One incarnation."""

    queue: list[Entry] = field(default_factory=list)
    line: list[Entry] = field(default_factory=list)  #: calls and deliveries that wait for room
    system: list[tuple[int, str]] = field(default_factory=list)
    current: Entry | None = None
    unanswered: list[Entry] = field(default_factory=list)
    timers: list[Entry] = field(default_factory=list)
    suspended: bool = False
    stopping: str | None = None
    alive: bool = True
    taken: int = 0
    dropped: int = 0
    skipped: int = 0


@dataclass
class MailboxModel:
    capacity: int
    overflow: Overflow
    heir: bool
    now: float = 0.0
    journal: list[tuple[float, str]] = field(default_factory=list)
    outcomes: dict[int, tuple[float, str]] = field(default_factory=dict)
    lives: list[Life] = field(default_factory=list)
    kept: list[Entry] = field(default_factory=list)  #: what the heir holds
    numbers: "count[int]" = field(default_factory=lambda: count(10_000))  #: of timers
    order: "count[int]" = field(default_factory=count)
    events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    held: bool = False  #: a sender sends several things in a row; the actor's turn is to come

    def __post_init__(self) -> None:
        self.lives.append(Life())

    @property
    def life(self) -> Life:
        return self.lives[-1]

    def at(self, when: float, event: Callable[[], None]) -> None:
        heappush(self.events, (when, next(self.order), event))

    def advance(self, until: float) -> None:
        while self.events and self.events[0][0] <= until:
            self.now, _, event = heappop(self.events)
            event()
        self.now = until

    def note(self, line: str) -> None:
        self.journal.append((self.now, line))

    def settle(self, entry: Entry, outcome: str) -> None:
        """A sender learns how it went; the first word counts."""
        if entry.number not in self.outcomes:
            self.outcomes[entry.number] = (self.now, outcome)
        entry.gone = entry.kind == "call" or entry.gone

    # -- sending ---------------------------------------------------------------------------

    def send(self, entry: Entry, life: Life, timeout: float | None) -> None:
        if entry.kind == "call" and timeout is not None:
            self.at(self.now + timeout, lambda: self.time_is_up(entry, life))
        if not life.alive:
            life.dropped += entry.kind in ("cast", "info")
            self.settle(entry, {"offer": "dead", "cast": "", "info": ""}.get(entry.kind, "NoProc"))
        elif len(life.queue) < self.capacity or self.make_room(life):
            life.queue.append(entry)
            if entry.kind != "call":
                self.settle(entry, {"offer": "accepted"}.get(entry.kind, ""))
            self.wake(life)
        elif self.overflow is Overflow.REFUSE and entry.kind in ("call", "deliver"):
            life.line.append(entry)
        else:
            life.dropped += self.overflow is not Overflow.REFUSE or entry.kind != "offer"
            self.settle(entry, {"offer": "full", "call": "MailboxFull"}.get(entry.kind, ""))
            if self.overflow is Overflow.STOP:
                self.ask_to_stop(life, "crash")

    def make_room(self, life: Life) -> bool:
        if self.overflow is not Overflow.DROP_OLDEST:
            return False
        victim = next((e for e in life.queue if e.kind not in ("down", "timer")), None)
        if victim is not None:
            life.queue.remove(victim)
            life.dropped += 1
            self.settle(victim, "MailboxFull")
        return True

    def exempt(self, entry: Entry, life: Life) -> None:
        """A DOWN, or a timer that is due."""
        if life.alive and not entry.gone:
            life.queue.append(entry)
            self.wake(life)

    def time_is_up(self, entry: Entry, life: Life) -> None:
        if not entry.gone:
            self.settle(entry, "CallTimeout")
            self.leave_line(entry, life)

    def cancel(self, number: int) -> None:
        """A sender that still waits is cancelled."""
        for life in self.lives:
            waiting = [*life.queue, *life.line, *life.unanswered]
            waiting += [life.current] if life.current else []
            for entry in waiting:
                mine = entry.number == number and entry.kind != "down"
                if mine and number not in self.outcomes:
                    self.settle(entry, "Cancelled")
                    self.leave_line(entry, life)
            for request in list(life.system):
                if request[0] == number:
                    self.outcomes[number] = (self.now, "Cancelled")
                    life.system.remove(request)

    def leave_line(self, entry: Entry, life: Life) -> None:
        if entry in life.line:
            life.line.remove(entry)
        if entry in life.unanswered:
            life.unanswered.remove(entry)

    # -- the system lane -------------------------------------------------------------------

    def system(self, number: int, what: str) -> None:
        """Suspend, resume or stop, asked of the present life."""
        self.life.system.append((number, what))
        self.wake(self.life)

    def ask_to_stop(self, life: Life, reason: str) -> None:
        life.system.append((-1, reason))
        self.wake(life)

    # -- handling --------------------------------------------------------------------------

    def wake(self, life: Life) -> None:
        """Serve what there is to serve, unless a slow handler is at work."""
        while life.alive and life.current is None and not self.held:
            if life.stopping is not None:
                self.die(life, life.stopping)
            elif life.system:
                number, what = life.system.pop(0)
                if what in ("suspend", "resume"):
                    life.suspended = what == "suspend"
                    self.outcomes[number] = (self.now, "")
                else:
                    life.stopping = what
            elif life.queue and not life.suspended:
                self.handle(life, self.take(life))
            else:
                break

    def take(self, life: Life) -> Entry:
        entry = life.queue.pop(0)
        while life.line and len(life.queue) < self.capacity:
            waiting = life.line.pop(0)
            life.queue.append(waiting)
            if waiting.kind == "deliver":
                self.settle(waiting, "")
        life.taken += 1
        return entry

    def handle(self, life: Life, entry: Entry) -> None:
        if entry.gone:
            life.skipped += entry.kind == "call"
            return
        life.current = entry
        kind = {"offer": "cast", "deliver": "cast"}.get(entry.kind, entry.kind)
        self.note(f"{kind} {'' if kind == 'timer' else entry.number}")
        match entry.work:
            case "crash":
                self.die(life, "crash")
                return
            case "halt":
                life.stopping = "normal"
                if entry.kind == "call":
                    life.unanswered.append(entry)
            case "slow":
                self.at(self.now + 1, lambda: self.finish(life, entry))
                return
            case "later" if entry.kind == "call":
                life.unanswered.append(entry)
            case "answer":
                if life.unanswered:
                    self.settle(life.unanswered.pop(0), "late reply")
                self.reply(entry)
            case "arm":
                timer = Entry(next(self.numbers), "timer")
                life.timers.append(timer)
                self.at(self.now + TIMER, lambda: self.exempt(timer, life))
                self.reply(entry)
            case "disarm":
                if life.timers:
                    life.timers.pop().gone = True
                self.reply(entry)
            case _:
                self.reply(entry)
        life.current = None

    def reply(self, entry: Entry) -> None:
        if entry.kind == "call":
            self.settle(entry, "reply")

    def finish(self, life: Life, entry: Entry) -> None:
        if life.alive and life.current is entry:
            self.note(f"done {entry.number}")
            self.reply(entry)
            life.current = None
            self.wake(life)

    # -- death -----------------------------------------------------------------------------

    def die(self, life: Life, reason: str) -> None:
        life.alive = False
        self.note(f"exit {reason}")
        calls = [life.current] if life.current is not None else []
        calls += [*life.queue, *life.line, *life.unanswered]
        for entry in calls:
            if entry.kind == "call" or entry in life.line:
                self.settle(entry, "Exited")
        for number, what in life.system:
            if what in ("suspend", "resume"):
                self.outcomes[number] = (self.now, "Exited")
        for timer in life.timers:
            timer.gone = True
        casts = [entry for entry in life.queue if entry.kind not in ("call", "down", "timer")]
        fresh = Life()
        if self.heir and reason in ("crash", "killed"):
            fresh.queue = casts
        else:
            life.dropped += len(casts)
        life.current = None
        for lane in (life.queue, life.line, life.system, life.unanswered):
            lane.clear()
        self.lives.append(fresh)
        self.wake(fresh)

    def kill(self) -> None:
        """A slow handler is cut off; otherwise it was parked."""
        self.die(self.life, "killed")
