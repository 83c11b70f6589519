"""Signal handling, effective from the first signal on, whatever the server is doing.

========================  ====================================================================
SIGTERM, SIGINT           stop in order; the second one ends the process at once
SIGHUP                    stop in order (the terminal was closed); never counts as the second one,
                          since shells and service managers send it beside others; under
                          ``nohup``, which ignores it, it stays ignored
SIGQUIT                   end at once, without a core file: positions would be in it
SIGUSR1, SIGUSR2          nothing but a log line: by default they would end the process
SIGPIPE                   nothing; Python ignores it, and writing fails instead
========================  ====================================================================

The handlers only write one byte into a pipe. A thread reads it, so that nothing that hangs (the
start, the loop, a lock of the main thread) delays a signal. From the first signal on the process
has ``deadline_s`` left; after that the thread ends it.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, final

import structlog
import trio

from locshare.telemetry import output

log = structlog.get_logger()

EXIT_TOO_LATE: Final = 70
"""The exit status when the deadline has passed (EX_SOFTWARE of sysexits.h)."""

_IN_ORDER: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_AT_ONCE: Final = (signal.SIGQUIT,)
_IGNORED: Final = (signal.SIGUSR1, signal.SIGUSR2)
_ARM: Final = 0
"""In the pipe: not a signal, but the start of the deadline."""
_FLUSH_S: Final = 0.3


@final
class StopSignals:
    """The signal handlers of the process. ``deadline_s``: how long an orderly stop may take."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._asked = False
        self._stop: Callable[[], None] | None = None
        self._writing: int | None = None

    def install(self) -> None:
        """Install until the end of the process; the deadline also covers what Python joins at its
        exit, which may hang as well. Main thread only.
        """
        reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        threading.Thread(target=self._watch, args=(reading,), name="signals", daemon=True).start()
        for number in (*_IN_ORDER, *_AT_ONCE, *_IGNORED):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._handle)

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """During the block, a signal to stop calls ``stop`` in the caller's Trio loop; at once if
        the signal came before.
        """
        token = trio.lowlevel.current_trio_token()

        def from_thread() -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(stop)

        with self._lock:
            self._stop = from_thread
            asked = self._asked
        try:
            if asked:
                stop()
            yield
        finally:
            with self._lock:
                self._stop = None

    def arm(self) -> None:
        """Start the deadline, unless a signal has started it."""
        self._put(_ARM)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._put(number)

    def _put(self, code: int) -> None:
        if self._writing is None:
            return
        with suppress(BlockingIOError):  # a full pipe: one more signal adds nothing
            os.write(self._writing, bytes((code,)))

    # --- in the thread --------------------------------------------------------------------------

    def _watch(self, reading: int) -> None:
        poll = select.poll()
        poll.register(reading, select.POLLIN)
        deadline: float | None = None
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            if not poll.poll(left):
                self._end_process()
            for code in os.read(reading, 64):
                if code in _IGNORED:
                    log.info("signal_ignored", signal=signal.Signals(code).name)
                    continue
                if deadline is None:
                    deadline = time.monotonic() + self._deadline_s
                if code != _ARM:
                    self._act(code)

    def _act(self, number: int) -> None:
        name = signal.Signals(number).name
        with self._lock:
            again, self._asked = self._asked, True
            stop = self._stop
        if number in _AT_ONCE or (again and number != signal.SIGHUP):
            log.warning("stopping_at_once", signal=name)
            output.flush(_FLUSH_S)
            os._exit(128 + number)
        if not again:
            log.info("signal", signal=name)
            if stop is not None:
                stop()

    def _end_process(self) -> None:
        log.critical("not_stopped_in_time", seconds=self._deadline_s)
        output.flush(_FLUSH_S)
        os._exit(EXIT_TOO_LATE)
