"""The proxy of :mod:`bench.network.proxy` in a process of its own.

A relay under load takes a good part of a core; in a thread of the process that measures it would
take the interpreter from it.
"""

import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.network.faults import Command, Faults, parse_address, write
from bench.network.proxy import FD, Address, Proxy, ProxyGone, listening, text_of

ANSWER_S = 30.0
"""How long the process may take to start or to answer."""


class _Process:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.address = parse_address(self._answer().removeprefix("listening "))

    def do(self, command: Command) -> int:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(write(command) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise ProxyGone(f"the proxy has ended: {error}") from error
        answer = self._answer()
        if not answer.startswith("ok "):
            raise ProxyGone(f"the proxy answered {answer!r}")
        return int(answer.removeprefix("ok "))

    def _answer(self) -> str:
        # One line answers one line, so nothing waits in the buffer of the text stream.
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_S)
        if not ready:
            raise ProxyGone(f"the proxy did not answer within {ANSWER_S:g} s")
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise ProxyGone("the proxy has ended; what it said is above")
        return line.rstrip("\n")


@contextmanager
def proxy_process(
    to: Address,
    *,
    listener: socket.socket | None = None,
    faults: Faults | None = None,
    seed: int = 0,
) -> Iterator[Proxy]:
    """A proxy to ``to`` that listens at ``listener``; None: a free port of 127.0.0.1. Here the
    listener is closed: the process has it. The process ends with the block, and with this process,
    however that ends. Raises ProxyGone.
    """
    with listening("127.0.0.1") if listener is None else listener as own:
        process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "bench.network.proxy", "--listen", f"{FD}{own.fileno()}"),
                *("--to", text_of(to), "--seed", str(seed)),
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(own.fileno(),),
            start_new_session=True,  # Ctrl-C here is ours to pass on
        )
    # Popen.__exit__ closes the pipes, so the program ends, and waits for it.
    with process:
        try:
            proxy = _Process(process)
            if faults is not None:
                proxy.do(faults)
            yield proxy
        finally:
            process.terminate()
