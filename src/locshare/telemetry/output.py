"""Standard output and standard error that never make their writer wait.

``write(2)`` blocks while nobody reads a full pipe, while a terminal is stopped (Ctrl-S), and while
a file system hangs. In a process with one thread for everything, one such line would stop every
session, the health check and the answer to SIGTERM. So :func:`write_in_background` puts a
:class:`BackgroundWriter` behind ``sys.stdout`` and ``sys.stderr``: a bounded queue and a thread
that writes. This covers everything that Python code writes: log lines, warnings, the libraries'
logging, tracebacks, the output of commands.

Invariants. ``write`` never waits and never raises. A line is written whole or not at all. Dropped
lines are counted, and the log reports them as soon as there is room. Whatever the other end does
(closed, full disk, broken pipe), the program goes on.

The descriptor keeps its mode: other processes share it, and a non-blocking terminal would be
non-blocking for the shell too.
"""

import atexit
import errno
import io
import os
import select
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final, TextIO, final

MAX_WAITING_BYTES: Final = 1024 * 1024
"""Per stream. Logging at level debug fills this in some seconds; a reader that is later than that
will not read soon either."""
GATHER_S: Final = 0.02
"""How long the thread gathers lines before it writes them. Waking it costs the writer a system call
and the interpreter's lock: per line of an access log that was a fifth of the cost of a request. A
line is late by at most this, and SIGKILL loses at most this."""
FLUSH_S: Final = 1.0
"""How long a slow reader may take at the end of the process."""


@final
class BackgroundWriter:
    """Writes to the file ``descriptor`` in a thread, in order.

    Call it from any thread and from finalizers (which may run in the middle of a ``write``: hence
    the reentrant lock), not from signal handlers. After a fork the child writes without a thread.
    """

    def __init__(self, descriptor: int, max_waiting_bytes: int = MAX_WAITING_BYTES) -> None:
        self._descriptor = descriptor
        self._max_waiting_bytes = max_waiting_bytes
        self._changed = threading.Condition()
        self._chunks: list[bytes] = []
        self._waiting_bytes = 0
        self._writing = False
        self._idle = False
        """The thread waits for a line."""
        self._flushing = 0
        """Callers in :meth:`flush`: the thread must not gather."""
        self._torn = False
        """The last write ended in the middle of a line."""
        self._dropped_announced = 0
        self.dropped = 0
        """Lines not written: too many waited, or the descriptor refused them."""
        self.announce: Callable[[int], bytes] | None = None
        """Returns the line that reports dropped lines; called in the writing thread."""
        self._has_thread = True
        try:
            threading.Thread(target=self._run, name="output", daemon=True).start()
        except RuntimeError:  # the system has no thread left for us; better slow than silent
            self._has_thread = False
        _writers.add(self)

    def write(self, data: bytes) -> None:
        """Queue ``data``, whole lines; drop and count it when too much waits."""
        if not self._has_thread:
            self._write_out(data)
            return
        with self._changed:
            if self._waiting_bytes + len(data) > self._max_waiting_bytes:
                self.dropped += _lines_in(data)
                return
            self._chunks.append(data)
            self._waiting_bytes += len(data)
            if self._idle:
                self._idle = False
                self._changed.notify_all()

    def flush(self, timeout_s: float = FLUSH_S) -> bool:
        """Wait until all is written, at most ``timeout_s``; returns whether it is. Blocks: for the
        end of the process, and for tests.
        """
        if not self._has_thread:
            return True
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(
                    lambda: not self._chunks and not self._writing, timeout_s
                )
            finally:
                self._flushing -= 1

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                while not self._chunks:
                    self._idle = True
                    self._changed.wait()
                self._idle = False
                self._changed.wait_for(lambda: self._flushing, GATHER_S)
                self._writing = True
                chunks, self._chunks = self._chunks, []
                self._waiting_bytes = 0
            # One call for all: each releases the interpreter's lock and waits for it again.
            self._write_out(b"".join(chunks))
            self._announce_dropped()

    def _announce_dropped(self) -> None:
        count = self.dropped - self._dropped_announced
        if count == 0 or self.announce is None:
            return
        before = self.dropped
        try:
            self._write_out(self.announce(count))
        except Exception:  # noqa: BLE001 - the lines that follow matter more
            self._dropped_announced = before
            return
        if self.dropped == before:  # otherwise this line was dropped too
            self._dropped_announced = before

    def _write_out(self, data: bytes) -> None:
        rest = memoryview(b"\n" + data if self._torn else data)
        self._torn = False
        while rest:
            try:
                written = os.write(self._descriptor, rest)
            except BlockingIOError:  # another process made the shared descriptor non-blocking
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
            except OSError as error:
                self.dropped += _lines_in(bytes(rest))
                # A full disk may have taken half a line, and have room again for the next one.
                self._torn = len(rest) < len(data) and error.errno not in (errno.EPIPE, errno.EBADF)
                return
            else:
                rest = rest[written:]

    def after_fork(self) -> None:
        """In a child: the thread and the queue are the parent's."""
        self._has_thread = False
        self._chunks = []
        self._changed = threading.Condition()


def _lines_in(data: bytes) -> int:
    return max(data.count(b"\n"), 1)


_writers: "weakref.WeakSet[BackgroundWriter]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for writer in list(_writers):
        writer.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)


@final
class BackgroundText(io.TextIOBase):
    """A text stream in place of ``like`` that passes whole lines to ``writer``."""

    def __init__(self, writer: BackgroundWriter, like: TextIO) -> None:
        super().__init__()
        self.writer = writer
        self._like = like
        self._line = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has an attribute
        return self._like.encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"  # a log in LANG=C is better than none

    def isatty(self) -> bool:
        return self._like.isatty()

    def fileno(self) -> int:
        return self._like.fileno()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Never waits, never raises."""
        whole, newline, rest = (self._line + text).rpartition("\n")
        self._line = rest
        if newline:
            self._hand_over(whole + newline)
        return len(text)

    def flush(self) -> None:
        """Pass an unfinished line on. Does not wait until it is written."""
        text, self._line = self._line, ""
        if text:
            self._hand_over(text)

    def _hand_over(self, text: str) -> None:
        self.writer.write(text.encode(self.encoding, self.errors))


def write_in_background() -> None:
    """Make ``sys.stdout`` and ``sys.stderr`` non-blocking for their writers, until the end of the
    process, which waits at most ``FLUSH_S`` for queued lines.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, BackgroundText):
            stream.flush()
            setattr(sys, name, BackgroundText(BackgroundWriter(stream.fileno()), stream))
    atexit.register(flush)


def flush(timeout_s: float = FLUSH_S) -> None:
    """Wait at most ``timeout_s`` for queued lines. Call before every ``os._exit``."""
    deadline = time.monotonic() + timeout_s
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, BackgroundText):
            stream.flush()
            stream.writer.flush(max(0.0, deadline - time.monotonic()))


def dropped_lines() -> int:
    """Lines of standard error dropped so far."""
    return sys.stderr.writer.dropped if isinstance(sys.stderr, BackgroundText) else 0


def open_standard_streams() -> None:
    """Call first. A parent may have closed standard input, output or error: the next file opened (a
    database, a socket) would get that number, and a library's print would go into it. Characters
    that the encoding cannot write are escaped instead of raising.

    A closed standard output is opened for reading: a result that nobody can get is then an error
    (EBADF) and no success. Standard error swallows what is written.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # os.open takes the lowest free number, which is the closed one.
            os.open(os.devnull, os.O_WRONLY if descriptor == 2 else os.O_RDONLY)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(descriptor, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def forget(stream: TextIO) -> None:
    """Give up on a stream that cannot be written. Otherwise Python's flush at exit would complain
    about the rest of its buffer, and change the exit status.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
