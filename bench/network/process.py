"""The proxy of :mod:`bench.network.proxy` in a process of its own.

A relay under load takes a good part of a core; in a thread of the process that measures it would
take the interpreter from it.
"""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.guardian import entrust
from bench.network.faults import Command, Faults, parse_address, write
from bench.network.namespace import inside
from bench.network.proxy import FD, Address, Proxy, ProxyGone, listening, text_of

ANSWER_S = 30.0
"""How long the process may take to start or to answer."""


class _Process:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.address = parse_address(self._answer().removeprefix("listening "))

    def do(self, command: Command) -> int:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{write(command)}\n".encode())
        except (OSError, ValueError) as error:
            raise ProxyGone(f"the proxy has ended: {error}") from error
        answer = self._answer()
        if not answer.startswith("ok "):
            raise ProxyGone(f"the proxy answered {answer!r}")
        return int(answer.removeprefix("ok "))

    def _answer(self) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_S)
        if not ready:
            raise ProxyGone(f"the proxy did not answer within {ANSWER_S:g} s")
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise ProxyGone("the proxy has ended; what it said is above")
        return line.decode().rstrip("\n")


@contextmanager
def proxy_process(
    to: Address, *, faults: Faults | None = None, seed: int = 0, namespace: str | None = None
) -> Iterator[Proxy]:
    """A proxy to ``to`` on a free port of 127.0.0.1; it dials from the network namespace, if one is
    given. The process ends with the block, and with this process, however that ends. Raises
    ProxyGone, or Unavailable of the namespace.
    """
    with listening("127.0.0.1") as listener:
        command = [
            sys.executable,
            *("-m", "bench.network.proxy", "--listen", f"{FD}{listener.fileno()}"),
            *("--to", text_of(to), "--seed", str(seed)),
        ]

        def start() -> "subprocess.Popen[bytes]":
            return subprocess.Popen(
                command,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,  # what select sees is all there is
                pass_fds=(listener.fileno(),),
                start_new_session=True,  # Ctrl-C here is ours to pass on
            )

        # A child begins in the namespace of the thread that starts it; the listener stays here.
        process = entrust(start() if namespace is None else inside(namespace, start))
    with process:
        try:
            proxy = _Process(process)
            if faults is not None:
                proxy.do(faults)
            yield proxy
        finally:
            process.terminate()
