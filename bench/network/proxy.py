"""A TCP proxy that delays, imitates loss, and is cut and restored on command.

    python -m bench.network.proxy --listen 127.0.0.1:9081 --to 127.0.0.1:8081 --delay 0.1

Commands come by standard input, one a line, and are answered by one line: ``ok`` with the number of
connections that were reset, or ``error``. It ends with its input, or by Ctrl-C::

    cut        reset every connection, and whoever connects
    restore    carry new connections again

:func:`proxy_process` runs one from Python, in a process of its own: a relay under load takes a good
part of a core, and in a thread it would compete with the driver for the interpreter.
"""

import argparse
import os
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import trio

from bench.guardian import entrust
from bench.network.namespace import inside
from bench.network.relay import Impairment, Relay

Address = tuple[str, int]

ANSWER_S = 30.0
"""Time limit for the process to start or to answer."""
_FD = "fd:"
"""``--listen fd:N``: a listening socket that was inherited from the parent process."""
_BACKLOG = 4096


class ProxyGone(Exception):
    """The proxy did not start, or has ended."""


class Proxy:
    """A proxy in another process, for synchronous callers."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.address = parse_address(self._answer().removeprefix("listening "))

    def do(self, command: Literal["cut", "restore"]) -> int:
        """Returns how many connections were reset, afterwards. Raises ProxyGone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{command}\n".encode())
        except (OSError, ValueError) as error:
            raise ProxyGone(f"the proxy has ended: {error}") from error
        return int(self._answer().removeprefix("ok "))

    def _answer(self) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_S)
        if not ready:
            raise ProxyGone(f"the proxy did not answer within {ANSWER_S:g} s")
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise ProxyGone("the proxy has ended; its error is above")
        return line.decode().rstrip("\n")


@contextmanager
def proxy_process(
    to: Address, impairment: Impairment, *, seed: int = 0, namespace: str | None = None
) -> Iterator[Proxy]:
    """A proxy to ``to`` on a free port of 127.0.0.1, which dials from the network namespace if one
    is given. The process ends with the block, and with this process, however that ends. Raises
    ProxyGone, or Unavailable of the namespace.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listener:
        command = [
            *(sys.executable, "-m", "bench.network.proxy"),
            *("--listen", f"{_FD}{listener.fileno()}", "--to", text_of(to), "--seed", str(seed)),
            *("--delay", repr(impairment.delay_s), "--jitter", repr(impairment.jitter_s)),
            *("--loss", repr(impairment.loss)),
        ]

        def start() -> "subprocess.Popen[bytes]":
            return subprocess.Popen(
                command,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,  # so that select sees all buffered data
                pass_fds=(listener.fileno(),),
                start_new_session=True,  # Ctrl-C is for this process, which ends the other
            )

        # A child begins in the namespace of the thread that starts it; the listener stays here.
        process = entrust(start() if namespace is None else inside(namespace, start))
    with process:
        try:
            yield Proxy(process)
        finally:
            process.terminate()


def parse_address(text: str) -> Address:
    """``HOST:PORT``, an IPv6 address in brackets. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        raise ValueError(f"{text!r} is no address; write HOST:PORT, such as 127.0.0.1:8081")
    return host.removeprefix("[").removesuffix("]"), int(port)


def text_of(address: Address) -> str:
    """What :func:`parse_address` reads as ``address``."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# --- the command ------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        to = parse_address(options.to)
        listener = _listener(options.listen)
    except (ValueError, OSError) as error:
        print(f"python -m bench.network.proxy: {error}", file=sys.stderr)
        return 2
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)  # each connection needs two files
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    impairment = Impairment(options.delay, options.jitter, options.loss)
    return trio.run(_serve, listener, Relay(*to, impairment, seed=options.seed))


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    first, _, rest = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m bench.network.proxy",
        description=first,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--listen", required=True, metavar="HOST:PORT", help="port 0: a free one")
    add("--to", required=True, metavar="HOST:PORT", help="where connections go")
    add("--delay", type=_seconds, default=0.0, metavar="S", help="of each direction, in seconds")
    add("--jitter", type=_seconds, default=0.0, metavar="S", help="more or less, evenly spread")
    add("--loss", type=_share, default=0.0, metavar="SHARE", help="imitated, such as 0.2")
    add("--seed", type=int, default=0, help="of jitter and loss")
    return parser


def _seconds(text: str) -> float:
    if not 0 <= float(text) < 3600:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 3600 s")
    return float(text)


def _share(text: str) -> float:
    if not 0 <= float(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to less than 1")
    return float(text)


def _listener(text: str) -> socket.socket:
    if text.startswith(_FD):
        return socket.socket(fileno=int(text.removeprefix(_FD)))
    host, port = parse_address(text)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


async def _serve(listener: socket.socket, relay: Relay) -> int:
    """Until the input ends or SIGINT comes. Returns the exit status."""
    interrupted = False

    async def wait_for_interrupt(signals: AsyncIterator[int]) -> None:
        nonlocal interrupted
        await anext(signals)
        interrupted = True
        nursery.cancel_scope.cancel()

    listener.setblocking(False)
    # Before it prints that it listens, and as an event: a KeyboardInterrupt may hit between the
    # creation of a coroutine and its first step.
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_interrupt, signals)
            nursery.start_soon(
                relay.serve, trio.SocketListener(trio.socket.from_stdlib_socket(listener))
            )
            print(f"listening {text_of(listener.getsockname()[:2])}", flush=True)
            # Read in a thread: a non-blocking standard input would make a terminal non-blocking.
            while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
                print(_obey(relay, line.strip()), flush=True)
            nursery.cancel_scope.cancel()
    return 130 if interrupted else 0


def _obey(relay: Relay, command: str) -> str:
    if command == "cut":
        return f"ok {relay.cut()}"
    if command == "restore":
        relay.restore()
        return "ok 0"
    return f"error {command!r} is no command; there are cut and restore"


if __name__ == "__main__":
    sys.exit(main())
