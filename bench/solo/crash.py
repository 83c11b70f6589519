"""What the crash of a session's actor costs its people, and those in other sessions.

    python -m bench.solo.crash                # a crash every 100 ms: four minutes
    python -m bench.solo.crash --every 0.02   # one minute

50 people in one session of the real server and 200 in four others send an update every 2 s, over
real sockets: once undisturbed, once while the actor of the first session is crashed 1,000 times by
fault injection (``serve --faults``). 50 ms after every fiftieth crash a new participant joins and
checks the snapshot. The undisturbed round has as many harmless requests and joins, so that the
difference is the crashes alone.

Reported are latency, lost updates, closed connections, and recovery: the time from the message that
crashes the actor to the next incarnation's first reply.

No update is itself the message that crashes the actor, so none may be lost. The exit status is 1
when an update was lost, a connection closed, or a snapshot incomplete.
"""

import argparse
import sys
import threading
import time

import trio

from bench.procfs import circumstances
from bench.servers import Server, people, running_server
from bench.solo.crowd import Counters, Crowd, Load, tickets_of
from bench.solo.frames import clock_us
from bench.stats import summary, table
from locshare.client import Client, connect
from locshare.ops.faults import FaultClient, open_faults, session_actor, session_supervisor

CRASHES = 1000
EVERY_S = 0.1
LOOK_AFTER = 50
LOOK_S = 0.05
SEATS = 100
"""With room for the participants who join, check the snapshot, and leave."""


class Crasher(threading.Thread):
    """Crashes one session of ``size`` people every ``every`` seconds, in its own thread and Trio
    run; without ``crash``, makes harmless requests instead.
    """

    def __init__(self, server: Server, session_id: str, *, size: int, every: float) -> None:
        super().__init__(name="crasher", daemon=True)
        self._server = server
        self._session_id = session_id
        self._size = size
        self._every = every
        self.crash = False
        self.recoveries: list[float] = []
        self.looks: list[bool] = []
        """Whether each snapshot was complete."""
        self.error: BaseException | None = None

    def run(self) -> None:
        """The thread."""
        try:
            trio.run(self._crash_on_and_on)
        except BaseException as error:  # noqa: BLE001 - raised again by the main thread
            self.error = error

    async def _crash_on_and_on(self) -> None:
        async with (
            open_faults(self._server.folder / "control.sock") as faults,
            Client(self._server.http_url) as api,
        ):
            # So that the supervisor never gives up.
            await faults.set_budget(session_supervisor(self._session_id), 10 * CRASHES)
            for number in range(1, CRASHES + 1):
                await self._disturb(faults)
                if number % LOOK_AFTER == 0:
                    await trio.sleep(LOOK_S)
                    self.looks.append(await self._look(api))

    async def _disturb(self, faults: FaultClient) -> None:
        due = trio.current_time() + self._every
        if self.crash:
            self.recoveries.append(await faults.crash_now(session_actor(self._session_id)))
        else:
            await faults.pending()
        await trio.sleep_until(due)

    async def _look(self, api: Client) -> bool:
        joined = await api.join(self._session_id, "observer")
        async with connect(joined.websocket_url, joined.websocket_token) as connection:
            snapshot = connection.snapshot
            online = sum(each.online for each in snapshot.participants)
            found = online == self._size + 1 and len(snapshot.positions) == self._size
            await connection.leave()
        return found


def run_round(server: Server, load: Load, every: float, crash: bool) -> tuple[Crowd, Crasher]:
    """All sessions from their creation to their end."""
    with server.rest() as rest:
        rooms = rest.fill([people(load.size)] * load.sessions)
    crowd = Crowd(load, server.ws_port, tickets_of(rooms), first=Counters())
    session_id = rooms[0].session.session_id
    crasher = Crasher(server, session_id, size=load.size, every=every)
    crasher.crash = crash
    try:
        crowd.connect()
        crowd.send_for(load.interval_s)
        crowd.counters.counted_from_us = crowd.first.counted_from_us = clock_us(time.monotonic())
        crasher.start()
        crowd.send_for(load.duration_s)
        crowd.drain()
        crasher.join()
        with server.rest() as rest:
            rest.each(rest.end, [room.session for room in rooms])
        crowd.leave()
    finally:
        crowd.close()
    if crasher.error is not None:
        raise crasher.error
    time.sleep(0.5)
    return crowd, crasher


def measure(every: float) -> int:
    """Run both rounds, print the table. Returns the number of failures."""
    load = Load(sessions=5, size=50, duration_s=CRASHES * every * 1.1 + 5)
    latencies: dict[str, dict[str, float]] = {}
    counts: list[str] = []
    harm = 0
    with running_server({"LOCSHARE_MAX_PARTICIPANTS": str(SEATS)}, faults=True) as server:
        for name, crash in (("undisturbed", False), (f"{CRASHES} crashes", True)):
            print(f"{name}: {load.people} people, {load.duration_s:g} s", file=sys.stderr)
            crowd, crasher = run_round(server, load, every, crash)
            latencies[f"{name}, its session"] = summary(crowd.first.latencies)
            latencies[f"{name}, others"] = summary(crowd.counters.latencies)
            closed = crowd.counters.closed + crowd.first.closed
            counts.append(
                f"{name}: {crowd.delivered} of {crowd.expected} updates arrived, "
                f"{closed} connections closed"
            )
            harm += crowd.expected - crowd.delivered + closed
    latencies["recovery"] = summary(crasher.recoveries)
    complete = sum(crasher.looks)
    counts.append(
        f"complete snapshots {LOOK_S * 1000:g} ms after a crash: {complete} of {len(crasher.looks)}"
    )
    print(f"{circumstances()}, a crash every {every * 1000:g} ms")
    print(*table(latencies), *counts, sep="\n")
    return harm + len(crasher.looks) - complete + CRASHES - len(crasher.recoveries)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.crash", description="what a crash costs the people in a session"
    )
    parser.add_argument(
        "--every", type=float, default=EVERY_S, metavar="SECONDS",
        help=f"between two crashes (default {EVERY_S:g})",
    )  # fmt: skip
    return 1 if measure(parser.parse_args().every) else 0


if __name__ == "__main__":
    sys.exit(main())
