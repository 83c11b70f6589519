"""What one flush costs the server in each dialect, whatever else the machine does.

    python -m bench.solo.flush

A session of 100 people on real TCP connections to another process, which reads and drops. A flush
is encoded once by the server's encoders and sent with one call to each person, as a session does
it. How many people moved since the last flush is given: in :mod:`bench.solo.dialects` it follows
from the load of the machine, and decides what a delivery costs. CPU is of this process, the
kernel's part included, and the least of many rounds in which the dialects take turns.
"""

import argparse
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from time import process_time
from typing import Final

from bench.guardian import entrust
from bench.procfs import circumstances
from bench.servers import HOST
from bench.solo.deflate import BEGAN, flushes
from locshare.broadcast.fanout import encode_flush
from locshare.model.position import HeldPosition
from locshare.wire.compact import COMPACT
from locshare.wire.dialects import Dialect, Shorthand
from locshare.wire.phoenix import ARRAYS
from locshare.wire.plain import PLAIN

PEOPLE: Final = 100
MOVED: Final = 1, 12, 100
"""12 move in the longest flush window, 250 ms, when each moves every 2 s."""
FLUSHES: Final = 20
"""Per round: their CPU is far above what the clock can tell apart."""
_READER: Final = """
import selectors, socket, sys
selector = selectors.DefaultSelector()
for _ in range(int(sys.argv[2])):
    one = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    selector.register(one, selectors.EVENT_READ)
while selector.get_map():
    for key, _ in selector.select():
        if not key.fileobj.recv(1 << 20):
            selector.unregister(key.fileobj)
"""

Moved = Mapping[str, HeldPosition]


@contextmanager
def receivers(count: int) -> Iterator[Sequence[socket.socket]]:
    """The server's ends of so many connections, whose other ends are read."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, 0), backlog=count))
        listener.settimeout(10)
        port = str(listener.getsockname()[1])
        reader = entrust(subprocess.Popen([sys.executable, "-c", _READER, port, str(count)]))
        stack.callback(reader.wait)
        ends = [stack.enter_context(listener.accept()[0]) for _ in range(count)]
        for end in ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield ends


def cpu_us(moved: Moved, dialect: Dialect, ends: Mapping[str, socket.socket]) -> float:
    """Of one delivery: encode and send :data:`FLUSHES` flushes."""
    begun = process_time()
    for _ in range(FLUSHES):
        flush = encode_flush(moved, 0.0, dialect)
        for user_id, end in ends.items():
            if data := flush.without(user_id):
                end.sendall(data)
    deliveries = FLUSHES * len(moved) * (len(ends) - 1)
    return (process_time() - begun) / deliveries * 1e6


def measure(rounds: int) -> dict[int, dict[str, float]]:
    """CPU per delivery by how many moved, and by dialect."""
    everyone = next(flushes(PEOPLE))
    numbers = {user_id: number for number, user_id in enumerate(everyone)}
    dialects: dict[str, Dialect] = {
        "plain": PLAIN,
        "compact": COMPACT.in_session(Shorthand.since(BEGAN, numbers)),
        "phoenix": ARRAYS.channel("location:2b1e7c1a-7a0e-4a5b-9f57-0d7a4f0b3c11", "1"),
    }
    found: dict[int, dict[str, float]] = {}
    with receivers(PEOPLE) as sockets:
        ends = dict(zip(everyone, sockets, strict=True))
        for many in MOVED:
            moved = dict(list(everyone.items())[:many])
            least = found[many] = dict.fromkeys(dialects, float("inf"))
            for _ in range(rounds):
                for name, dialect in dialects.items():
                    least[name] = min(least[name], cpu_us(moved, dialect, ends))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.flush", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=30, metavar="N")
    found = measure(max(parser.parse_args(arguments).rounds, 1))
    print(f"{PEOPLE} people; CPU us per delivery", circumstances(), "", sep="\n")
    print(f"{'moved':<7}{'plain':>9}{'compact':>9}{'phoenix':>9}{'compact of plain':>18}")
    for many, by in found.items():
        figures = "".join(f"{value:>9.2f}" for value in by.values())
        print(f"{many:<7}{figures}{by['compact'] / by['plain']:>18.0%}")


if __name__ == "__main__":
    main()
