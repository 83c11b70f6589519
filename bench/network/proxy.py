"""A TCP proxy that makes trouble on command: late, slow, stalled, cut or half-open connections.

    python -m bench.network.proxy --listen 127.0.0.1:9081 --to 127.0.0.1:8081 --delay 100ms

Commands come by standard input, one line each, and are answered by one line: ``ok`` with how many
connections were struck, or ``error`` with why not. It ends with its input, or by Ctrl-C::

    faults delay=100ms jitter=50ms rate=256kbit loss=20% stalled refusing
    faults                       none any more
    cut [rst|fin] [SHARE]        such as: cut rst 50%
    half-open [SHARE]

From Python, :func:`proxy_thread` runs one in a thread of this process, and
:func:`bench.network.process.proxy_process` in a process of its own.
"""

import argparse
import contextlib
import queue
import resource
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import trio

from bench.network.faults import (
    BadCommand,
    Command,
    Faults,
    parse,
    parse_address,
    parse_rate,
    parse_seconds,
    parse_share,
)
from bench.network.relay import Relay

Address = tuple[str, int]

FD = "fd:"
"""``--listen fd:N``: a socket that listens already and was left by the parent process."""
_BACKLOG = 4096


class ProxyGone(Exception):
    """The proxy did not start, or has ended."""


class Proxy(Protocol):
    """A proxy that runs, for callers that are not asynchronous."""

    @property
    def address(self) -> Address:
        """Where it listens."""
        ...

    def do(self, command: Command) -> int:
        """Obey. Returns how many connections were struck, when it has happened. Raises
        ProxyGone.
        """
        ...


def listening(host: str, port: int = 0) -> socket.socket:
    """A socket to give to a proxy. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


# --- a thread ---------------------------------------------------------------------------------


class _Thread:
    def __init__(self, address: Address, token: trio.lowlevel.TrioToken, relay: Relay) -> None:
        self.address = address
        self._token = token
        self._relay = relay

    def do(self, command: Command) -> int:
        try:
            return trio.from_thread.run_sync(self._relay.do, command, trio_token=self._token)
        except trio.RunFinishedError:
            raise ProxyGone("the proxy has ended") from None


@contextmanager
def proxy_thread(
    to: Address,
    *,
    listener: socket.socket | None = None,
    faults: Faults | None = None,
    seed: int = 0,
) -> Iterator[Proxy]:
    """A proxy to ``to`` in a thread with a Trio loop of its own. It takes ``listener`` over; None:
    a free port of 127.0.0.1. At the end of the block whatever is open is reset.
    """
    own = listening("127.0.0.1") if listener is None else listener
    relay = Relay(*to, faults=faults or Faults(), seed=seed)
    started: queue.SimpleQueue[tuple[trio.lowlevel.TrioToken, trio.CancelScope]]
    started = queue.SimpleQueue()
    failed: list[BaseException] = []

    async def serve() -> None:
        with trio.CancelScope() as scope:
            started.put((trio.lowlevel.current_trio_token(), scope))
            await relay.serve(trio.SocketListener(trio.socket.from_stdlib_socket(own)))

    def run() -> None:
        try:
            trio.run(serve)
        except BaseException as error:  # noqa: BLE001 - raised again where the thread is joined
            failed.append(error)

    own.setblocking(False)
    address = own.getsockname()[:2]
    thread = threading.Thread(target=run, name="proxy", daemon=True)
    thread.start()
    token, scope = started.get()
    try:
        yield _Thread(address, token, relay)
    finally:
        with contextlib.suppress(trio.RunFinishedError):
            trio.from_thread.run_sync(scope.cancel, trio_token=token)
        thread.join()
        own.close()
        if failed:
            raise failed[0]


# --- the command ------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        to = parse_address(options.to)
        faults = Faults(
            delay_s=parse_seconds(options.delay),
            jitter_s=parse_seconds(options.jitter),
            rate=None if options.rate is None else parse_rate(options.rate),
            loss=parse_share(options.loss),
            stalled=options.stalled,
            refusing=options.refusing,
        )
        listener = _listener(options.listen)
    except (BadCommand, OSError) as error:
        print(f"python -m bench.network.proxy: {error}", file=sys.stderr)
        return 2
    _allow_many_connections()
    return trio.run(_serve, listener, Relay(*to, faults=faults, seed=options.seed))


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    first, _, rest = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m bench.network.proxy",
        description=first,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="port 0: a free one")
    parser.add_argument("--to", required=True, metavar="HOST:PORT", help="where connections go")
    parser.add_argument("--delay", default="0", metavar="TIME", help="such as 100ms")
    parser.add_argument("--jitter", default="0", metavar="TIME", help="so much more or less")
    parser.add_argument("--rate", metavar="RATE", help="per connection, such as 256kbit or 32kB")
    parser.add_argument("--loss", default="0", metavar="SHARE", help="imitated, such as 20%%")
    parser.add_argument("--stalled", action="store_true", help="carry nothing for now")
    parser.add_argument("--refusing", action="store_true", help="reset whoever connects")
    parser.add_argument("--seed", type=int, default=0, help="of jitter, loss and shares")
    return parser


def text_of(address: Address) -> str:
    """``HOST:PORT``, an IPv6 address in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listener(text: str) -> socket.socket:
    if text.startswith(FD) and text.removeprefix(FD).isdecimal():
        return socket.socket(fileno=int(text.removeprefix(FD)))
    return listening(*parse_address(text))


def _allow_many_connections() -> None:
    """Each needs two open files, and a usual limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(listener: socket.socket, relay: Relay) -> int:
    """Until the input ends or SIGINT comes. Returns the exit status."""
    interrupted = False

    async def wait_for_interrupt(signals: AsyncIterator[int]) -> None:
        nonlocal interrupted
        await anext(signals)
        interrupted = True
        nursery.cancel_scope.cancel()

    listener.setblocking(False)
    # Taken before anybody is told to be listened to, and as an event: a KeyboardInterrupt may
    # strike between the making of a coroutine and its first step.
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_interrupt, signals)
            nursery.start_soon(
                relay.serve, trio.SocketListener(trio.socket.from_stdlib_socket(listener))
            )
            print(f"listening {text_of(listener.getsockname()[:2])}", flush=True)
            # Reading in a thread: making standard input non-blocking would make a terminal so, too.
            while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
                print(_obey(relay.do, line), flush=True)
            nursery.cancel_scope.cancel()
    return 130 if interrupted else 0


def _obey(do: Callable[[Command], int], line: str) -> str:
    try:
        return f"ok {do(parse(line))}"
    except BadCommand as error:
        return f"error {error}"


if __name__ == "__main__":
    sys.exit(main())
