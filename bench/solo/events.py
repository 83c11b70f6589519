"""What an event costs: bytes in each dialect, CPU of one delivery, memory of one that is kept.

    python -m bench.solo.events

Without sockets and actors: the rules, the encoders and the log of a session, and receivers that
drop what they get. Takes seconds.
"""

import argparse
import tracemalloc
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Final
from uuid import UUID

from msgspec import structs

from bench.procfs import circumstances
from locshare.broadcast.addressed import EveryoneBut
from locshare.broadcast.fanout import Flush, encode_frame
from locshare.broadcast.native import Fan
from locshare.broadcast.receiver import Receiver
from locshare.model.events import Event, ParticipantJoined, ParticipantUpdated
from locshare.model.participant import Member
from locshare.model.reasons import CloseReason
from locshare.session.counters import SessionCounters
from locshare.session.delivery import deliver_events
from locshare.session.features.roster import Lock
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.rules import SessionRules
from locshare.session.table import SessionTable
from locshare.store.port import SessionRecord, StoredSession
from locshare.wire.compact import COMPACT
from locshare.wire.dialects import Dialect
from locshare.wire.phoenix import ARRAYS
from locshare.wire.plain import PLAIN

NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
USER: Final = "5d1c2beb-7a0e-4a5b-9f57-0d7a4f0b3c11"
PEOPLE: Final = 50
LIMITS: Final = SessionLimits()


class Sink:
    """A receiver that drops everything."""

    def __init__(self, user_id: str, dialect: Dialect) -> None:
        self.user_id = user_id
        self.dialect = dialect
        self.closed = False
        self.backlog_bytes = 0

    def send_event(self, frame: bytes) -> None: ...
    def send_positions(self, flush: Flush) -> None: ...
    def join(self, fan: Fan[Receiver], entry: Receiver | None = None) -> None:
        fan.add(entry or self, None)

    def send_rest(self, _flush: Flush, _sent: int, /) -> None:
        raise AssertionError("it has no socket")

    def close(self, reason: CloseReason) -> None: ...


def a_session(people: int) -> tuple[SessionTable, SessionRules]:
    """In which all are connected, in the plain dialect."""
    record = SessionRecord(UUID(int=1), "A", NOW, NOW + timedelta(1), UUID(int=2), True, NOW)
    table = SessionTable(StoredSession(record, ()), 0.0)
    rules = SessionRules(table, LIMITS)
    moment = Moment(NOW, 0.0)
    for number in range(people):
        user_id = f"{USER[:-2]}{number:02}"
        rules.join(Member(user_id, f"Person {number}", "#FF5733", NOW, NOW), UUID(int=number), 0.0)
        rules.connect(Sink(user_id, PLAIN), moment)
    deliver_events(table, SessionCounters(), 0.0, 0)
    return table, rules


def cpu_us_per_event(kept: int, rounds: int) -> float:
    """Of deciding one event and delivering it to everyone, with a log of ``kept`` events."""
    table, rules = a_session(PEOPLE)
    counters, moment = SessionCounters(), Moment(NOW, 0.0)
    begun = process_time()
    for number in range(rounds):
        rules.handle(Lock(number % 2 == 0), moment)
        deliver_events(table, counters, 0.0, kept)
    return (process_time() - begun) / rounds * 1e6


def bytes_per_kept_event(kept: int) -> float:
    """The memory of ``kept`` events that nothing else holds, each about another participant."""
    table, rules = a_session(2)
    rules.forget_events(0.0)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(kept):
        user_id = f"{USER[:-4]}{number:04}"
        joined = ParticipantJoined(user_id, f"Person {number}", "#FF5733")
        table.queue_event(joined, EveryoneBut(user_id))
        deliver_events(table, SessionCounters(), float(number), kept)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / kept


def resume_cost(missed: int, rounds: int) -> tuple[float, int]:
    """The CPU in microseconds and the bytes that ``missed`` events add to one snapshot."""
    table, rules = a_session(PEOPLE)
    known, moment = table.seq, Moment(NOW, 0.0)
    for number in range(missed):
        rules.handle(Lock(number % 2 == 0), moment)
    deliver_events(table, SessionCounters(), 0.0, LIMITS.kept_events)
    user_id = next(iter(table.roster))

    def frame(resume: str | None) -> bytes:
        return encode_frame(rules.views.snapshot(user_id, "participant", moment, resume), PLAIN)

    def cpu_us(resume: str | None) -> float:
        begun = process_time()
        for _ in range(rounds):
            frame(resume)
        return (process_time() - begun) / rounds * 1e6

    point = f"{table.epoch}.{known}"
    return cpu_us(point) - cpu_us(None), len(frame(point)) - len(frame(None))


def frame_bytes(event: Event) -> dict[str, int]:
    """The bytes of a frame in each dialect."""
    dialects: dict[str, Dialect] = {
        "plain": PLAIN,
        "phoenix": ARRAYS.channel(f"location:{USER}", "1"),
        "compact": COMPACT,
    }
    return {name: len(encode_frame(event, dialect)) for name, dialect in dialects.items()}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.solo.events", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20_000, help="of each measurement of CPU")
    rounds: int = parser.parse_args().rounds
    event = ParticipantUpdated(USER, True, NOW)
    bare, numbered = frame_bytes(event), frame_bytes(structs.replace(event, seq=1234))
    print(circumstances())
    for name, size in bare.items():
        print(f"{name:<8} participant_updated: {size} bytes without seq, {numbered[name]} with it")
    kept = LIMITS.kept_events
    without, with_log = (
        min(cpu_us_per_event(each, rounds // 5) for _ in range(5)) for each in (0, kept)
    )
    cpu, size = resume_cost(kept, max(rounds // 20, 1))
    print(
        f"one event to {PEOPLE} people: {without:.2f} us of CPU without a log, {with_log:.2f} with"
    )
    print(f"one kept event: {bytes_per_kept_event(kept):.0f} bytes of memory")
    print(f"{kept} missed events in a snapshot: {cpu:.0f} us, {size} bytes more")


if __name__ == "__main__":
    main()
