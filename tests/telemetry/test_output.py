"""What writes to standard output and error in the background: never waits, drops and says so."""

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from bench.guardian import entrust
from locshare.telemetry import output
from locshare.telemetry.output import BackgroundText, BackgroundWriter
from tests.running import LAST_RESORT_S

DEADLINE_S = LAST_RESORT_S
PIPE_BYTES = 4096


class Pipe:
    """A pipe that holds one page, and its reader."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def read_until(self, end: bytes) -> bytes:
        data = b""
        while not data.endswith(end):
            chunk = os.read(self.reading, 65_536)
            assert chunk, f"ended after {data[-200:]!r}"
            data += chunk
        return data

    def close(self) -> None:
        for descriptor in (self.reading, self.writing):
            with suppress(OSError):  # a test has closed it
                os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def line(number: int) -> bytes:
    return b"%099d\n" % number


def test_lines_come_out_whole_and_in_order(pipe: Pipe) -> None:
    writer = BackgroundWriter(pipe.writing)
    for number in range(1000):
        writer.write(line(number))
    assert pipe.read_until(line(999)) == b"".join(line(number) for number in range(1000))
    assert writer.flush(DEADLINE_S)
    assert writer.dropped == 0


def test_lines_gather_before_they_are_written_and_a_flush_does_not_wait_for_that(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "GATHER_S", 10 * LAST_RESORT_S)
    writes: list[bytes] = []

    def write_whole(descriptor: int, data: memoryview) -> int:
        writes.append(bytes(data))
        return write(descriptor, data)

    write = os.write
    monkeypatch.setattr(os, "write", write_whole)
    writer = BackgroundWriter(pipe.writing)
    for number in range(3):
        writer.write(line(number))
    assert writer.flush(DEADLINE_S)
    assert writes == [line(0) + line(1) + line(2)]


def counted(lines: list[bytes]) -> int:
    """How many lines were written, or are said to have been dropped."""
    return sum(int(each.split()[0]) if b"dropped" in each else 1 for each in lines)


def test_a_full_pipe_makes_no_writer_wait_and_what_is_dropped_is_counted_and_said(
    pipe: Pipe,
) -> None:
    writer = BackgroundWriter(pipe.writing, max_waiting_bytes=10_000)
    writer.announce = lambda count: b"%d dropped\n" % count
    for number in range(5000):
        writer.write(line(number))  # in this thread: if it waited, nobody would read
    assert not writer.flush(0.01)
    assert 0 < writer.dropped < 5000
    lines: list[bytes] = []
    while counted(lines) < 5000:
        lines = (b"".join(lines) + os.read(pipe.reading, 65_536)).splitlines(keepends=True)
    numbers = [int(each) for each in lines if not each.endswith(b"dropped\n")]
    assert [line(number) for number in numbers] == [each for each in lines if b"d" not in each]
    assert numbers == sorted(set(numbers))
    writer.write(b"and on it goes\n")
    assert pipe.read_until(b"it goes\n") == b"and on it goes\n"


def test_a_reader_that_has_gone_ends_nothing(pipe: Pipe) -> None:
    writer = BackgroundWriter(pipe.writing)
    os.close(pipe.reading)
    for number in range(3):
        writer.write(line(number))
        assert writer.flush(DEADLINE_S)
    assert writer.dropped == 3


def test_a_descriptor_made_non_blocking_by_another_process_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.writing, False)
    writer = BackgroundWriter(pipe.writing)
    for number in range(500):
        writer.write(line(number))
    assert pipe.read_until(line(499)) == b"".join(line(number) for number in range(500))
    assert writer.dropped == 0


def test_after_a_fork_the_child_writes_without_a_thread(pipe: Pipe) -> None:
    writer = BackgroundWriter(pipe.writing)
    writer.write(b"parent\n")
    assert writer.flush(DEADLINE_S)
    child = os.fork()
    if child == 0:
        writer.write(b"child\n")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert pipe.read_until(b"child\n") == b"parent\nchild\n"


def test_without_a_thread_it_writes_at_once(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    writer = BackgroundWriter(pipe.writing)
    writer.write(b"line\n")
    assert writer.flush(0)
    assert pipe.read_until(b"\n") == b"line\n"


def test_text_is_handed_over_in_whole_lines_and_never_fails_to_encode(pipe: Pipe) -> None:
    with open(pipe.writing, "w", encoding="ascii", closefd=False) as like:
        text = BackgroundText(BackgroundWriter(pipe.writing), like)
        text.write("half ")
        assert text.writer.flush(DEADLINE_S)
        text.write("a line…\nand the")
        assert pipe.read_until(b"\n") == b"half a line\\u2026\n"
        text.flush()
        assert pipe.read_until(b"the") == b"and the"


def run(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=LAST_RESORT_S,
        check=False,
    )


def test_what_waits_at_the_end_of_the_process_is_written() -> None:
    done = run(
        "import sys\n"
        "from locshare.telemetry.output import write_in_background\n"
        "write_in_background()\n"
        "for number in range(5000): print(number)\n"
        "print('unfinished', end='', file=sys.stderr)\n"
    )
    assert done.stdout.split() == [str(number) for number in range(5000)]
    assert done.stderr == "unfinished"


FILL = """
import os, sys
from locshare.telemetry import output
output.FLUSH_S = 0.05
output.write_in_background()
import logging, warnings
from locshare.telemetry import logs
import structlog
logs.configure("info", "json")
logs.capture_uncaught()
log = structlog.get_logger()
for _ in range(3000):
    log.info("event", value="x" * 1000)
    logging.getLogger("hypercorn").error("y" * 1000)
    warnings.warn("z" * 1000, UserWarning, stacklevel=1)
    print("p" * 1000)
    print("q" * 1000, file=sys.stderr)
assert output.dropped_lines() > 0
os.write(MARK, b"done")
"""


def test_nothing_that_python_writes_waits_for_a_pipe_that_nobody_reads() -> None:
    nobody_reads, full = os.pipe()
    marked, mark = os.pipe()
    with entrust(subprocess.Popen(
        [sys.executable, "-W", "always", "-c", FILL.replace("MARK", str(mark))],
        stdout=full, stderr=full, pass_fds=[mark],
    )) as process:  # fmt: skip
        os.close(mark)
        try:
            assert os.read(marked, 4) == b"done"
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()
            for descriptor in (nobody_reads, full, marked):
                os.close(descriptor)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_that_the_parent_closed_are_opened_on_nothing(closed: str) -> None:
    code = (
        "import os, sys; from locshare.telemetry.output import *; open_standard_streams(); "
        "assert os.pipe()[0] > 2; write_in_background(); print(1); print(2, file=sys.stderr)"
    )
    shell = f'exec "$0" -c "$1" {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", shell, sys.executable, code],
        capture_output=True, text=True, timeout=LAST_RESORT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ("" if "2>" in closed else "2\n")
