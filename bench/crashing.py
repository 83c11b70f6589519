"""The program of bench.crash: the real server, whose only session is crashed again and again.

Started as ``python -m bench.crashing``, it reads the same settings as ``locshare serve``. From
SIGUSR1 on it crashes the session actor :data:`CRASHES` times, and logs what it took.
"""

import os
import signal
import time
from functools import partial

import structlog
import trio
from bench.figures import summary

from locshare import logs
from locshare.app import Application
from locshare.config import load
from locshare.session.commands import ReserveSeat
from locshare.session.limits import SessionLimits
from locshare.session.manager import SESSIONS

CRASHES = 1000
EVERY_S = 0.02

log = structlog.get_logger()


class Poison:
    """A message that no session knows: its handler raises."""


async def crash_on_signal(application: Application) -> None:
    """Wait for SIGUSR1, crash the only session, tell how long each took to be back."""
    with trio.open_signal_receiver(signal.SIGUSR1) as signals:
        async for _ in signals:
            recoveries = [await crash_once(application) for _ in range(CRASHES)]
            log.info("crash_figures", crashes=len(recoveries), **summary(recoveries))


async def crash_once(application: Application) -> float:
    """Seconds from the poison to the answer of a call by somebody who waits for the session."""
    await trio.sleep(EVERY_S)
    (table,) = application.manager._tables.values()
    actor = application.names.lookup(table.session.id)
    assert actor is not None
    began = time.perf_counter()
    actor.cast(Poison())
    await actor.wait_exit()
    # One seat is asked for again and again: the session does nothing, but it answers.
    await application.manager.ask(table, ReserveSeat(table.session.id))
    return time.perf_counter() - began


async def main() -> None:
    """Serve until SIGTERM."""
    settings = load(os.environ).settings
    logs.configure(settings.log_level, settings.log_format)
    # Without a budget, for what is measured is the restart and not the giving up; and with a seat
    # to spare, for the caller who waits.
    limits = SessionLimits(max_restarts=10**9, max_participants=settings.max_participants + 1)
    application = Application(settings, limits)
    with application.stop_scope:
        async with application.running(), trio.open_nursery() as nursery:
            nursery.start_soon(partial(crash_on_signal, application))
            log.info("ready", sessions=SESSIONS)
            await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main)
