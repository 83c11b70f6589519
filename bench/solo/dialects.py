"""What a delivered position costs in each dialect: bytes, and the server's CPU.

    python -m bench.solo.dialects

The same load in every dialect, one after the other, with one server: 100 sessions of 100 people,
unless the options of :mod:`bench.solo.load` say otherwise. Bytes are those of WebSocket frames with
data that reach a receiver, per position of another; CPU is the server's process. ``--rounds 3``
does it three times, the dialects taking turns, and shows the best of each: a machine that other
work shares is slower at one moment than at the next. The bytes hardly differ.

The exit status is 1 when a delivery was lost or wrong.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Final

from bench.errors import NotServing
from bench.procfs import circumstances
from bench.results import Dialect
from bench.servers import allow_connections, running_server
from bench.solo.codecs import CODECS
from bench.solo.crowd import Load
from bench.solo.load import SCENARIOS, Wave, run_wave

Say = Callable[[str], None]
FIRST: Final[Dialect] = "plain"
"""With which the others are compared."""


def run(load: Load, rounds: int, say: Say) -> dict[Dialect, list[Wave]]:
    """The waves of each dialect, in turns. Raises NotServing."""
    allow_connections(load.people)
    environment = {"LOCSHARE_MAX_PARTICIPANTS": str(max(load.size, 2))}
    waves: dict[Dialect, list[Wave]] = {dialect: [] for dialect in CODECS}
    with running_server(environment, pin=True) as server:
        for number in range(1, rounds + 1):
            for dialect, found in waves.items():
                say(f"round {number} of {rounds}, {dialect}")
                found.append(run_wave(server, replace(load, dialect=dialect), say))
    return waves


def best(waves: Sequence[Wave]) -> Wave:
    """The one with the least CPU per delivery."""
    return min(waves, key=lambda wave: wave.server_us_per_delivery or 0.0)


def report(load: Load, waves: dict[Dialect, list[Wave]]) -> str:
    """A table, a line for each dialect."""
    what = "altitude, speed, heading and battery" if load.details else "no optional field"
    lines = [
        (
            f"{load.sessions} sessions of {load.size}, an update each every {load.interval_s:g} s "
            f"for {load.duration_s:g} s, with accuracy and {what}"
        ),
        circumstances(),
        "",
        (
            f"{'dialect':<9}{'bytes':>7}{'of plain':>10}{'CPU µs':>8}{'of plain':>10}"
            f"{'p50 ms':>8}{'p95 ms':>8}{'deliveries/s':>14}{'lost':>6}"
        ),
    ]
    plain = best(waves[FIRST])
    for dialect, found in waves.items():
        wave = best(found)
        lines.append(
            f"{dialect:<9}"
            f"{wave.bytes_per_delivery or 0:>7.1f}"
            f"{_share(wave.bytes_per_delivery, plain.bytes_per_delivery):>10}"
            f"{wave.server_us_per_delivery or 0:>8.2f}"
            f"{_share(wave.server_us_per_delivery, plain.server_us_per_delivery):>10}"
            f"{wave.latency_ms['p50']:>8.1f}{wave.latency_ms['p95']:>8.1f}"
            f"{wave.deliveries_per_s:>14,.0f}{sum(each.lost for each in found):>6}"
        )
    lines.append("")
    for dialect, found in waves.items():
        for wave in found:
            lines.append(f"{dialect}: {wave.shares}, {wave.server_us_per_delivery} µs")
            lines += wave.shares.warnings()
    return "\n".join(lines)


def _share(value: float | None, whole: float | None) -> str:
    return "?" if value is None or not whole else f"{value / whole:.0%}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.dialects", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--sessions", type=int)
    parser.add_argument("--size", type=int, help="people in a session")
    parser.add_argument("--interval", type=float, dest="interval_s", metavar="S")
    parser.add_argument("--duration", type=float, dest="duration_s", metavar="S")
    parser.add_argument(
        "--connect-rate", type=float, dest="connect_per_s", metavar="N", help="connects a second"
    )
    parser.add_argument("--rounds", type=int, default=1, metavar="N")
    parser.add_argument(
        "--details", action="store_true", default=None, help="altitude, speed, heading, battery"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = vars(parser.parse_args(arguments))
    as_json, rounds = options.pop("json"), max(options.pop("rounds"), 1)
    load = replace(SCENARIOS["full"], **{k: v for k, v in options.items() if v is not None})
    try:
        waves = run(load, rounds, lambda text: print(f"... {text}", file=sys.stderr, flush=True))
    except NotServing as error:
        print(error, file=sys.stderr)
        return 2
    if as_json:
        found = {name: [asdict(wave) for wave in each] for name, each in waves.items()}
        print(json.dumps({"load": asdict(load), "waves": found}))
    else:
        print(report(load, waves))
    return 0 if all(wave.complete for found in waves.values() for wave in found) else 1


if __name__ == "__main__":
    sys.exit(main())
