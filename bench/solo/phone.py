"""What the phone app's process does for a group that moves: CPU and bytes to Flutter, each second.

    python -m bench.solo.phone

The whole app without a screen (tests/phone/kit.py): messages of the others go into the feed, the
publisher's second ends, the screens are rendered, compared with what was there, and packed as for
Flutter. The map and the list are on the screen. Three cases: one person moves, everybody moves,
and nobody does (every 5 s ages are counted anew). CPU is of the process, on this machine: a phone's
core is slower. What Flutter itself draws is not in it. No sockets; takes seconds.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import process_time, time
from typing import Any, Final

from msgspec import Struct

ROOT: Final = Path(__file__).resolve().parents[2]
SIZES: Final = 10, 50, 300
ROUNDS: Final = 12
SERVER: Final = "http://127.0.0.1:9"
CASES: Final = "one moves", "all move", "nobody moves"


class Cost(Struct, frozen=True):
    """Of one second in which something was published."""

    cpu_ms: float
    bytes: int


def snapshot(people: int) -> Any:
    """A session of ``people``, all online and on the map."""
    from locshare.client import ParticipantPosition, ParticipantView, Snapshot
    from locshare.model.participant import You
    from locshare.model.session import SessionView

    now = datetime.now(UTC)
    views = tuple(
        ParticipantView(user(number), f"Person {number}", "#1D4ED8", now, now, True, True)
        for number in range(people)
    )
    return Snapshot(
        SessionView("s", "Sunday ride", now, now + timedelta(hours=6)),
        You(user(0), "participant"),
        views,
        tuple(ParticipantPosition(user(each), *place(each, 0), 8.0, now) for each in range(people)),
        now,
        "",
        0,
    )


def show(state: Any) -> None:
    """Show the map of the session."""
    state.active, state.screen = "s", "live"


def user(number: int) -> str:
    """The id of a participant."""
    return f"{number:08x}-0000-4000-8000-000000000000"


def place(number: int, turn: int) -> tuple[float, float]:
    """Where they are: a step of some metres each turn."""
    return 52.5 + number % 17 * 0.002 + turn * 0.0001, 13.4 + number // 17 * 0.002


async def measure(people: int, rounds: int) -> dict[str, Cost]:
    """The cost of each case, the median of ``rounds``."""
    from locshare.client import ParticipantPosition
    from phone.backend import Backend
    from phone.participation import Participation
    from phone.settings import Membership
    from tests.phone.kit import phone

    with tempfile.TemporaryDirectory() as folder:
        async with phone(Path(folder), SERVER) as one:
            control = one.app.controller
            mine = Membership(
                "s", "Sunday ride", Backend(SERVER), f"{SERVER}/join/s", user(0), "t", "", time()
            )
            found = Participation(mine, lambda: None)
            control._participations["s"] = found
            found.feed.connected(snapshot(people), datetime.now(UTC))
            control._context.copy().run(lambda: show(one.state))
            control._publisher.hidden()  # from here on each round publishes

            async def publish() -> Cost:
                began, sent = process_time(), one.bytes_sent
                control._publish()
                await one.idle()
                return Cost((process_time() - began) * 1e3, one.bytes_sent - sent)

            def move(movers: Sequence[int], turn: int) -> None:
                now = datetime.now(UTC)
                for number in movers:
                    message = ParticipantPosition(user(number), *place(number, turn), 8.0, now)
                    found.feed.received(message, now)

            await publish()
            await one.until(lambda: one.has("Person 1"), "the group")
            await publish()
            costs: dict[str, list[Cost]] = {case: [] for case in CASES}
            for turn in range(1, rounds + 1):
                for case, movers in zip(CASES, ([1], range(people), []), strict=True):
                    move(movers, turn * 2 + (case == "all move"))
                    costs[case].append(await publish())
    return {
        case: Cost(median(each.cpu_ms for each in rows), int(median(each.bytes for each in rows)))
        for case, rows in costs.items()
    }


def report(sizes: Sequence[int], rounds: int) -> str:
    """A table, a line for each size of a group."""
    from bench.procfs import circumstances

    lines = [
        circumstances(),
        "",
        f"{'people':>6}" + "".join(f"{f'{case}: CPU':>20}{'bytes':>9}" for case in CASES),
    ]
    for people in sizes:
        costs = asyncio.run(measure(people, rounds))
        cells = "".join(f"{costs[case].cpu_ms:>17.1f} ms{costs[case].bytes:>9,}" for case in CASES)
        lines.append(f"{people:>6}{cells}")
    lines += ["", "At one publication a second, 10 ms of CPU are 1 % of a core."]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.phone", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--people", type=int, nargs="+", default=SIZES, metavar="N", help="sizes of groups, from 2"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="of each case")
    found = parser.parse_args(arguments)
    if min(found.people) < 2:
        parser.error(f"--people {min(found.people)}: a group has 2 people or more")
    if found.rounds < 1:
        parser.error(f"--rounds {found.rounds}: at least 1")
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "clients" / "phone" / "src")]
    print(report(found.people, found.rounds))


if __name__ == "__main__":
    main()
