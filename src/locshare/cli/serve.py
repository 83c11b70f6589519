"""``locshare serve``: run the server, and with ``--demo`` a demo session.

The server runs in the main task. The demo runs beside it, starts when the server is ready, and is
cancelled when the server ends. A failure of the demo does not affect the server.

A server that cannot start says why in one line, redacted like the logs. Writing never blocks it
(:mod:`locshare.telemetry.output`), and signals are handled at any time
(:mod:`locshare.server.signals`).
"""

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from functools import partial
from io import StringIO
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, final
from urllib.parse import urlsplit

import structlog
import trio

from locshare.cli import EXIT_FAILURE, EXIT_OK, EXIT_USAGE, complain, say
from locshare.cli.failures import explain
from locshare.cli.flags import add_settings_flags, load_settings
from locshare.config import Settings
from locshare.model.errors import LocshareError
from locshare.net.passed_sockets import PASSED
from locshare.server.service_manager import ServiceManager
from locshare.server.signals import StopSignals
from locshare.telemetry import logs, output

if TYPE_CHECKING:
    from locshare.net.addresses import Addresses

log = structlog.get_logger()

DESCRIPTION = """\
Run the server: REST API and page on one port and WebSockets on another, or with --bind all on one.
Without database_url it runs a PostgreSQL of its own. Ctrl-C or SIGTERM stops it in order, a second
one at once."""
EXAMPLES = """\
  locshare serve --demo
  locshare serve --demo --bind :8080     for phones in the same network
  LOCSHARE_DATABASE_URL=postgresql://… locshare serve --bind 127.0.0.1:8080 \\
      --public-url https://map.example.org
"""

_BEYOND_DRAIN_S: Final = 20.0
"""For an orderly stop of everything but the connections: more than the deadlines of all other parts
together, including a start that has to be given up."""

MOST_PEOPLE: Final = 45
"""Fewer than a session holds, so that real people can join."""

_LAN_HINT: Final = (
    "Only this machine can open it. For a phone in the same network, add:\n    --bind :8080"
)
_HTTPS_HINT: Final = (
    "Over plain http a phone can watch; browsers let it share its own position over https only."
)


def add_arguments(parser: ArgumentParser) -> None:
    """``--demo`` and the settings."""
    parser.add_argument(
        "--demo", action="store_true", help="make a session with simulated people, print its link"
    )
    parser.add_argument(
        "--people", type=_people, default=8, metavar="N",
        help=f"how many of them, 1 to {MOST_PEOPLE} (default 8)",
    )  # fmt: skip
    parser.add_argument(
        "--faults", action="store_true",
        help="let scripts break the server on purpose, over the control socket; not in production",
    )  # fmt: skip
    add_settings_flags(parser)


def run(arguments: Namespace) -> int:
    """Serve until stopped. Raises SettingsError."""
    settings = load_settings(arguments).settings
    people = arguments.people if arguments.demo else 0
    seats = settings.sessions.max_participants
    if people >= seats:
        complain(
            f"--people {people} fills a session of {seats}, so that nobody "
            "could join; give fewer, or raise --max-participants"
        )
        return EXIT_USAGE
    if arguments.faults and (problem := why_no_faults(settings)):
        complain(problem)
        return EXIT_USAGE
    output.write_in_background()
    logs.configure(settings.log_level, settings.log_format)
    logs.capture_uncaught()
    signals = StopSignals(settings.connections.drain_deadline + _BEYOND_DRAIN_S)
    signals.install()
    try:
        PASSED.take(os.environ, os.getpid())
        service = ServiceManager.of(os.environ, os.getpid())
        run_all = partial(serve, people=people, faults=arguments.faults, service=service)
        trio.run(run_all, settings, signals)
    except GaveUp as error:
        reason = explain(error.__cause__)
        if reason is None:
            log.exception("gave_up", exc_info=error.__cause__)
            reason = "a part of the server keeps crashing; the log says which"
        complain(f"gave up: {reason}")
    except Exception as error:
        reason = explain(error)
        if reason is None:
            raise  # a fault of the program: shown as such, with a redacted traceback
        log.debug("start_failed", exc_info=error)
        complain(f"cannot start: {reason}")
    else:
        return EXIT_OK
    return EXIT_FAILURE


def why_no_faults(settings: Settings) -> str | None:
    """The reason to refuse ``--faults`` with these settings, or None."""
    if settings.environment == "production":
        return "--faults is refused: environment is production. Only a server for tests may have it"
    if settings.control_path is None:
        return "--faults needs the control socket, and control_socket is off"
    return None


class GaveUp(LocshareError):
    """The server was ready and then gave up. ``__cause__`` says why."""


async def serve(
    settings: Settings,
    signals: StopSignals,
    *,
    people: int,
    faults: bool = False,
    service: ServiceManager | None = None,
) -> None:
    """Run the server, with a demo of ``people`` unless 0. With ``faults``, faults can be injected.

    Raises, not in a group, what :func:`locshare.server.tree.serve` raises before it is ready, and
    GaveUp for what it raises later.
    """

    from locshare.server import (
        tree,  # only now, so that faults in the settings are reported at once
    )

    ready = Ready()
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        if people:
            nursery.start_soon(_demo, ready, people)
        try:
            await tree.serve(settings, signals, faults=faults, service=service, task_status=ready)
        except Exception as error:  # noqa: BLE001 - raised again below, outside the nursery
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None and ready.addresses is not None:
        raise GaveUp from failure
    if failure is not None:
        raise failure


@final
class Ready(trio.TaskStatus["Addresses"]):
    """Takes the addresses when the server is ready. Unlike ``nursery.start``, it allows a server
    that is stopped before it was ready.
    """

    def __init__(self) -> None:
        self._event = trio.Event()
        self.addresses: Addresses | None = None
        """None until the server is ready."""

    def started(self, value: "Addresses | None" = None) -> None:
        """Called by the server."""
        self.addresses = value
        self._event.set()

    async def wait(self) -> "Addresses":
        """Wait until the server is ready, without limit."""
        await self._event.wait()
        if self.addresses is None:
            raise RuntimeError("the server is ready without an address")
        return self.addresses


# --- the demo ---------------------------------------------------------------------------------


async def _demo(ready: Ready, people: int) -> None:
    addresses = await ready.wait()
    try:
        from locshare.simulate.demo import run_demo

        def invite(link: str) -> None:
            say(invitation(link, terminal=sys.stdout.isatty(), encoding=sys.stdout.encoding))

        async with trio.open_nursery() as nursery:
            demo = partial(run_demo, addresses, people=people, announce=invite)
            invite(await nursery.start(demo))
    except Exception as error:
        log.warning("demo_ended", error=type(error).__name__, exc_info=error)


def invitation(link: str, *, terminal: bool, encoding: str) -> str:
    """The text printed when the demo is ready: link, QR code on a terminal, hints."""
    lines = ["", "  People are moving. Watch them, and join them, here:", "", f"    {link}", ""]
    if terminal and encoding.lower().replace("-", "") == "utf8":
        lines += [f"    {row}" for row in qr_code(link)]
        lines.append("")
    parts = urlsplit(link)
    if _is_loopback(parts.hostname or ""):
        lines += [f"  {each}" for each in _LAN_HINT.split("\n")]
    elif parts.scheme == "http":
        lines.append(f"  {_HTTPS_HINT}")
    lines.append("  Ctrl-C stops it.")
    return "\n".join(lines) + "\n"


def qr_code(text: str) -> list[str]:
    """Rows for a terminal, each two modules high. Dark on light whatever the terminal's colours,
    since many cameras do not read the inverse.
    """
    import segno

    buffer = StringIO()
    segno.make(text, error="l", micro=False).terminal(out=buffer, border=2, compact=True)
    return [f"\x1b[97;40m{row}\x1b[0m" for row in buffer.getvalue().splitlines()]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _people(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= MOST_PEOPLE:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST_PEOPLE}")
    return int(text)
