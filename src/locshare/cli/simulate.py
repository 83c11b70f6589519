"""``locshare simulate``: simulated people in sessions of a running server, and what came of it."""

import math
import signal
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
import trio
from rich.console import Console

from locshare.cli import EXIT_FAILURE, EXIT_OK, EXIT_USAGE, complain, say
from locshare.client import ClientError, JoinLink, parse_join_link
from locshare.model.join_link import session_id_in
from locshare.simulate.cities import CITIES, DEFAULT_CITY
from locshare.simulate.crowd import Crowd
from locshare.simulate.display import show, summary_of
from locshare.simulate.gpx import UnusableTrack, read_gpx
from locshare.simulate.movement import MOVEMENTS
from locshare.simulate.simulation import CouldNotConnect, Plan, simulate
from locshare.simulate.timing import DEFAULT_SPEED_M_S
from locshare.simulate.track import TrackPoint

DESCRIPTION = """\
Let simulated people join sessions of a running server, walk and drive through a city, and report
where they are. Counts every update that somebody should get; exit status 1 when one was lost, when
nothing was sent, or when somebody could not connect or stay.
It makes its own sessions and ends them, or joins an existing one. Ctrl-C ends it in order."""
EXAMPLES = """\
  locshare simulate                                     eight people until Ctrl-C
  locshare simulate --sessions 20 --size 10 --duration 60
  locshare simulate --city tokyo --movement driving --interval 1
  locshare simulate --link http://127.0.0.1:8080/join/… --size 3
  locshare simulate --gpx hike.gpx --speed-up 10        people who follow a recorded way
  locshare simulate --duration 30 --json                the summary, for programs
"""

DEFAULT_URL: Final = "http://127.0.0.1:8080"
_GPX_SPEED_M_S: Final = {"driving": 10.0}


def add_arguments(parser: ArgumentParser) -> None:
    """What to simulate, where, and how to show it."""
    where = parser.add_argument_group("where")
    where.add_argument(
        "--url", type=_http_url, metavar="URL", help=f"the server's (default {DEFAULT_URL})"
    )
    where.add_argument(
        "--ws-url",
        type=_ws_url,
        metavar="URL",
        help="ws://host:port, when the one that the server names cannot be reached from here",
    )
    which = where.add_mutually_exclusive_group()
    which.add_argument("--session", type=_session_id, metavar="ID", help="join this session")
    which.add_argument("--link", type=_link, metavar="LINK", help="join by this link")

    who = parser.add_argument_group("who")
    who.add_argument("--sessions", type=_count, default=1, metavar="N", help="to make (default 1)")
    who.add_argument(
        "--size", type=_count, default=8, metavar="N", help="people in each (default 8)"
    )
    who.add_argument(
        "--city", choices=sorted(CITIES), default=DEFAULT_CITY, metavar="CITY",
        help=f"one of {', '.join(sorted(CITIES))} (default {DEFAULT_CITY})",
    )  # fmt: skip
    who.add_argument("--movement", choices=MOVEMENTS, default="mixed", help="(default mixed)")
    who.add_argument(
        "--gpx", type=Path, metavar="FILE", help="follow the tracks and routes of a GPX file"
    )
    who.add_argument(
        "--speed-up", type=_factor, default=1.0, metavar="FACTOR",
        help="follow them this many times as fast (default 1)",
    )  # fmt: skip
    who.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="other people with each (default 0)"
    )

    how = parser.add_argument_group("how")
    how.add_argument(
        "--interval", type=_seconds, default=2.0, metavar="SECONDS",
        help="between two updates of one person (default 2)",
    )  # fmt: skip
    how.add_argument(
        "--duration",
        type=_seconds,
        metavar="SECONDS",
        help="of the whole, joining included (default: until Ctrl-C)",
    )
    how.add_argument("--json", action="store_true", help="the summary as JSON, and nothing else")


def run(arguments: Namespace) -> int:
    """Simulate until the end. Returns the exit status."""
    try:
        plan = plan_of(arguments)
    except UnusableTrack as error:
        complain(str(error))
        return EXIT_USAGE
    crowd = Crowd()
    try:
        trio.run(_simulate, plan, crowd, not arguments.json)
    except CouldNotConnect as error:
        complain(
            f"{error}. Start a server with `locshare serve`, or say where it is with --url and"
            " --ws-url"
        )
        return EXIT_FAILURE
    except ClientError as error:
        complain(f"{error} ({plan.url})")
        return EXIT_FAILURE
    summary = crowd.summary()
    say(msgspec.json.encode(summary).decode() if arguments.json else summary_of(summary))
    good = summary.sent and not summary.lost and not summary.failed
    return EXIT_OK if good else EXIT_FAILURE


def plan_of(arguments: Namespace) -> Plan:
    """The plan that the flags describe. Raises UnusableTrack."""
    session, url, link_key = arguments.session, arguments.url, None
    if arguments.link is not None:
        session, link_key = arguments.link.session_id, arguments.link.link_key
        url = url or arguments.link.url
    tracks: tuple[list[TrackPoint], ...] = ()
    if arguments.gpx is not None:
        speed = _GPX_SPEED_M_S.get(arguments.movement, DEFAULT_SPEED_M_S)
        recording = read_gpx(arguments.gpx, speed=speed)
        tracks = tuple(recording.tracks)
        for remark in recording.remarks:
            complain(remark)
    return Plan(
        url=url or DEFAULT_URL,
        city=CITIES[arguments.city],
        sessions=arguments.sessions,
        size=arguments.size,
        interval=arguments.interval,
        duration=arguments.duration,
        movement=arguments.movement,
        tracks=tracks,
        speed_up=arguments.speed_up,
        session_id=session,
        link_key=link_key,
        ws_url=arguments.ws_url,
        seed=arguments.seed,
    )


async def _simulate(plan: Plan, crowd: Crowd, visible: bool) -> None:
    """Simulate and show it. Raises ClientError outside of any group."""
    stop = trio.Event()
    refusal: ClientError | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(_stop_on_signal, stop)
        if visible:
            nursery.start_soon(show, crowd, Console(stderr=True))
        try:
            await simulate(plan, crowd, stop)
        except ClientError as error:
            refusal = error
        nursery.cancel_scope.cancel()
    if refusal is not None:
        raise refusal


async def _stop_on_signal(
    stop: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """The first signal ends it in order, the second one at once."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            if stop.is_set():
                raise KeyboardInterrupt
            stop.set()


# --- flags ------------------------------------------------------------------------------------


def _checked_url(text: str, schemes: tuple[str, ...]) -> str:
    parts = urlsplit(text)
    if parts.scheme not in schemes or not parts.hostname:
        raise ArgumentTypeError(f"{text!r} is not like {schemes[0]}://host:port")
    return text.rstrip("/")


def _http_url(text: str) -> str:
    return _checked_url(text, ("http", "https"))


def _ws_url(text: str) -> str:
    return _checked_url(text, ("ws", "wss"))


def _session_id(text: str) -> str:
    session_id = session_id_in(text)
    if session_id is None:
        raise ArgumentTypeError("not the id of a session, which is a UUID")
    return session_id


def _link(text: str) -> JoinLink:
    try:
        return parse_join_link(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _number(lowest: float, highest: float, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not lowest <= value <= highest:
        raise ArgumentTypeError(f"{text!r} is not a number from {lowest:g} to {highest:g}")
    return value


def _whole(lowest: int, highest: int, text: str) -> int:
    value = _number(lowest, highest, text)
    if value != int(value):
        raise ArgumentTypeError(f"{text!r} is not a whole number")
    return int(value)


def _count(text: str) -> int:
    return _whole(1, 10_000, text)


def _seed(text: str) -> int:
    return _whole(0, 1_000_000_000, text)


def _seconds(text: str) -> float:
    return _number(0.05, 86_400, text)


def _factor(text: str) -> float:
    return _number(0.01, 1_000, text)
