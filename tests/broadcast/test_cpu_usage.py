"""CPU usage: the work of a thread and its time in the run queue, not its waits."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.guardian import entrust
from locshare.broadcast import cpu_usage
from locshare.broadcast.cpu_usage import ThreadCpuUsage


@pytest.fixture
def mine() -> Iterator[ThreadCpuUsage]:
    of = ThreadCpuUsage()
    yield of
    of.close()


def least(of: ThreadCpuUsage, run: Callable[[], None], tries: int = 20) -> float:
    """The least that `run` adds: this thread stands in line too, on a busy machine for long."""
    found = []
    for _ in range(tries):
        before = of.seconds()
        run()
        found.append(of.seconds() - before)
        if found[-1] < 0.05:
            break
    return min(found)


def work(processor_seconds: float) -> None:
    until = time.thread_time() + processor_seconds
    while time.thread_time() < until:
        pass


def test_work_counts_and_waiting_does_not(mine: ThreadCpuUsage) -> None:
    def waiting() -> None:
        time.sleep(0.2)

    assert least(mine, waiting) < 0.1
    before = mine.seconds()
    work(0.05)
    assert mine.seconds() - before >= 0.05


def test_standing_queued_for_a_core_counts(mine: ThreadCpuUsage) -> None:
    """Two processes on one core: each gets half of it and asks for all."""
    with one_core(), rival():
        began, worked, before = time.perf_counter(), time.thread_time(), mine.seconds()
        work(0.2)
        elapsed = time.perf_counter() - began
        worked, asked = time.thread_time() - worked, mine.seconds() - before
    assert elapsed > 1.2 * worked, "the rival was served too"
    in_line = elapsed - worked
    if Path("/proc/self/schedstat").exists():  # Linux tells it, if so built
        assert asked > worked + 0.3 * in_line
    else:
        assert asked == pytest.approx(worked, abs=0.01)


def test_another_thread_s_work_is_not_mine(mine: ThreadCpuUsage) -> None:
    def of_another() -> None:
        other = threading.Thread(target=work, args=(0.2,))
        other.start()
        other.join()

    assert least(mine, of_another) < 0.15


@pytest.mark.parametrize("schedstat", [None, b"", b"12345\n", b"not reported here\n"])
def test_without_run_queue_times_only_the_work_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, schedstat: bytes | None
) -> None:
    if schedstat is not None:
        (tmp_path / f"{threading.get_native_id()}").write_bytes(schedstat)
    monkeypatch.setattr(cpu_usage, "_SCHEDSTAT", f"{tmp_path}/{{}}")
    of = ThreadCpuUsage()
    before = of.seconds()
    work(0.02)
    assert of.seconds() - before >= 0.02
    assert of.seconds() <= time.thread_time(), "no time in line is made up"
    of.close()


def test_closing_twice_closes_no_other_file() -> None:
    of = ThreadCpuUsage()
    of.close()
    read, write = os.pipe()
    of.close()
    os.write(write, b"x")
    assert os.read(read, 1) == b"x"
    os.close(read)
    os.close(write)


@contextmanager
def one_core() -> Iterator[None]:
    """This thread, and the processes it starts, on one core only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def rival() -> Iterator[None]:
    """A process that wants the core too."""
    code = (
        "import time; until = time.perf_counter() + 100; print(flush=True)\n"
        "while time.perf_counter() < until: pass"
    )
    with entrust(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield
        finally:
            process.kill()
