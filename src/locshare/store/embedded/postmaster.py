"""The postmaster (PostgreSQL's first process), from launch to the end of the last child.

Two pipes tie it to this process. Every process of the server holds the writing end of ``alive``: it
reads EOF when all are gone. The watcher holds the reading end of one of ours: it reads EOF when we
are gone, and asks the postmaster to shut down. Everything but :meth:`Postmaster.wait_died` blocks.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, final

import structlog
import trio

from locshare.store.embedded.cluster import POLL_S
from locshare.store.embedded.complaints import EmbeddedError, ServerLog
from locshare.store.embedded.ownership import Account, popen_options

log = structlog.get_logger()

START_S: Final = 30.0
"""Recovery after a power cut may take a while; an ordinary start takes 20 ms."""
FAST_STOP_S: Final = 0.5
IMMEDIATE_STOP_S: Final = 0.15
KILL_S: Final = 0.1

_WATCHER: Final = """
read -r _
read -r pid < "$2/postmaster.pid" && [ "$pid" = "$1" ] && kill -INT "$1"
"""
"""Gets the postmaster's pid and the cluster. Checks the pid file first, so that it never signals
another process which has that number now."""


@final
class Postmaster:
    """Launched by the constructor as ``account``, on ``cluster``, with ``settings``."""

    def __init__(
        self,
        cluster: Path,
        bin_dir: Path,
        account: Account | None,
        settings: Mapping[str, str],
        output: ServerLog,
    ) -> None:
        self._cluster = cluster
        self._log = output
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self._alive, theirs = os.pipe()
        try:
            with output.open() as file:
                self._process = subprocess.Popen(  # noqa: S603 - our own binary, no shell
                    [bin_dir / "postgres", "-D", cluster, *options],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    pass_fds=(theirs,),
                    start_new_session=True,  # Ctrl-C in the terminal is for us, not for it
                    **popen_options(account),
                )
        except BaseException:
            os.close(self._alive)
            raise
        finally:
            os.close(theirs)
        try:
            self._watcher = subprocess.Popen(  # noqa: S603 - a constant script
                ["/bin/sh", "-c", _WATCHER, "locshare-watch", str(self.pid), cluster],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                **popen_options(account),
            )
        except BaseException:
            self._end_process()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self, check: Callable[[], None]) -> None:
        """Return when it accepts connections. Raises EmbeddedError. ``check`` is called often, and
        may raise to give up.
        """
        deadline = time.monotonic() + START_S
        while not self._is_ready():
            check()
            if self._process.poll() is not None:
                raise EmbeddedError(
                    f"the embedded PostgreSQL in {self._cluster} did not start: "
                    + self._log.why_postmaster_failed()
                )
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"the embedded PostgreSQL in {self._cluster} was not ready within"
                    f" {START_S:.0f} s: {self._log.why_postmaster_failed()}"
                )
            time.sleep(POLL_S)

    async def wait_died(self) -> None:
        """Return when every process of the server is gone."""
        await trio.lowlevel.wait_readable(self._alive)

    def stop(self) -> None:
        """End it and the watcher, whatever state they are in. Takes 0.8 s at most, usually 15 ms.
        Call once.
        """
        self._end_process()
        with self._watcher:
            self._watcher.kill()

    def _end_process(self) -> None:
        for number, seconds in (
            (signal.SIGINT, FAST_STOP_S),
            (signal.SIGQUIT, IMMEDIATE_STOP_S),
            (signal.SIGKILL, KILL_S),
        ):
            self._process.send_signal(number)
            if self._wait_gone(seconds):
                break
            log.warning("embedded_postgres_slow_stop", pid=self.pid, signal=number.name)
        os.close(self._alive)

    def _is_ready(self) -> bool:
        """The eighth line of the pid file, which is what pg_ctl waits for."""
        try:
            text = (self._cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return False
        lines = text.splitlines()
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _wait_gone(self, seconds: float) -> bool:
        """Wait for the end of the postmaster and, by the pipe, of all its children."""
        deadline = time.monotonic() + seconds
        os.set_blocking(self._alive, False)
        while time.monotonic() < deadline:
            if self._process.poll() is not None and self._pipe_closed():
                return True
            time.sleep(POLL_S)
        return False

    def _pipe_closed(self) -> bool:
        try:
            return os.read(self._alive, 1) == b""
        except BlockingIOError:
            return False
