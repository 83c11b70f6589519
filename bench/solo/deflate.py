"""What compression (permessage-deflate, RFC 7692) would save, and what it would cost the server.

    python -m bench.solo.deflate

A group moves for two minutes, everyone sends every 2 s, and each flush has all of them: the frames
are those of the server's encoders, for one receiver. They are compressed as the extension does it:

* with context: one compressor for each connection, which remembers what it sent, so each receiver's
  messages are compressed by themselves. The window is of 15 bits, the extension's default, or of
  12, which some servers choose to save memory;
* without context: each message by itself, once for all receivers, and nothing is kept.

Bytes are those of the payloads; a header is 2 to 4 bytes more in all of them. Memory is a
compressor's and a decompressor's after use: the server also reads what a client compresses. CPU is
of compressing alone. No sockets; takes seconds.
"""

import argparse
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Any, Final

from msgspec import Struct

from bench.people.population import equal_groups, phone
from bench.procfs import circumstances
from locshare.model.position import HeldPosition
from locshare.wire.compact import COMPACT
from locshare.wire.dialects import Shorthand
from locshare.wire.plain import PLAIN

SIZES: Final = 8, 50, 100
INTERVAL_S: Final = 2.0
FLUSHES: Final = 60
BEGAN: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
_TAIL: Final = b"\x00\x00\xff\xff"

Messages = Sequence[Sequence[bytes]]
"""The payloads of each flush."""


class Way(Struct, frozen=True):
    """How to compress. ``bits`` (of the window) and ``level`` (of memory) are zlib's."""

    name: str
    bits: int
    level: int
    keeps_context: bool

    def compressor(self) -> Any:
        """A new one."""
        return zlib.compressobj(wbits=-self.bits, memLevel=self.level)


WAYS: Final = (
    Way("with context, 15 bits", 15, 8, True),
    Way("with context, 12 bits", 12, 5, True),
    Way("without context", 15, 8, False),
)


class Figures(Struct, frozen=True):
    """Of one way: bytes and CPU per delivered position, memory per connection."""

    bytes: float
    cpu_us: float
    memory_bytes: int


def flushes(people: int) -> Iterator[dict[str, HeldPosition]]:
    """What everyone reports, flush by flush."""
    members = equal_groups(1, people, seed=1).members
    phones = {f"{each.seed:08x}-7a0e-4a5b-9f57-0d7a4f0b3c11": phone(each) for each in members}
    for turn in range(FLUSHES):
        seconds = turn * INTERVAL_S
        at = BEGAN + timedelta(seconds=seconds)
        yield {
            # Nobody reports at the same millisecond as another.
            user_id: HeldPosition(
                each.position(seconds, at + timedelta(milliseconds=17 * number)), 0.0, 0.0
            )
            for number, (user_id, each) in enumerate(phones.items())
        }


def plain_messages(people: int) -> Messages:
    """To the first of them: a message for each of the others."""
    return [
        [
            PLAIN.encode_position(user_id, held.position, None)
            for user_id, held in list(moved.items())[1:]
        ]
        for moved in flushes(people)
    ]


def compact_messages(people: int) -> Messages:
    """To all of them: one message."""
    moved = list(flushes(people))
    numbers = {user_id: number for number, user_id in enumerate(moved[0])}
    encode = COMPACT.in_session(Shorthand.since(BEGAN, numbers)).encode_batch
    assert encode is not None
    return [[encode(each, 0.0)] for each in moved]


def measure(messages: Messages, people: int, way: Way) -> Figures:
    """Compress everything that one receiver gets."""
    deliveries = FLUSHES * (people - 1)
    kept = way.compressor()
    size = 0
    begun = process_time()
    for flush in messages:
        for each in flush:
            compressor = kept if way.keeps_context else way.compressor()
            data = compressor.compress(each) + compressor.flush(zlib.Z_SYNC_FLUSH)
            size += len(data) - len(_TAIL)
    cpu_s = process_time() - begun
    if not way.keeps_context:
        cpu_s /= people - 1  # once for all receivers
    return Figures(
        size / deliveries,
        cpu_s / deliveries * 1e6,
        memory_of(way, messages[0][0]) if way.keeps_context else 0,
    )


def memory_of(way: Way, message: bytes) -> int:
    """Bytes of one connection's compressor and decompressor, both used."""
    tracemalloc.start()
    try:
        compressor, decompressor = way.compressor(), zlib.decompressobj(-way.bits)
        data = compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)
        decompressor.decompress(data)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def report(sizes: Sequence[int]) -> str:
    """A table, some lines for each size of a group."""
    kinds: dict[str, Callable[[int], Messages]] = {
        "plain": plain_messages,
        "compact": compact_messages,
    }
    head = f"{'per delivered position':<34}{'bytes':>7}{'saved':>7}{'CPU us':>8}{'memory':>10}"
    lines = [circumstances(), "", head]
    for people in sizes:
        for name, make in kinds.items():
            messages = make(people)
            size = sum(len(each) for flush in messages for each in flush)
            bare = size / (FLUSHES * (people - 1))
            lines.append(f"{f'{people} people, {name}':<34}{bare:>7.1f}")
            for way in WAYS:
                found = measure(messages, people, way)
                memory = f"{found.memory_bytes / 1024:.0f} KiB" if found.memory_bytes else "none"
                lines.append(
                    f"  {way.name:<32}{found.bytes:>7.1f}{1 - found.bytes / bare:>7.0%}"
                    f"{found.cpu_us:>8.2f}{memory:>10}"
                )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.deflate", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--people", type=int, nargs="+", default=SIZES, metavar="N", help="sizes of groups, from 2"
    )
    sizes = parser.parse_args(arguments).people
    if min(sizes) < 2:
        parser.error(f"--people {min(sizes)}: a group has 2 people or more")
    print(report(sizes))


if __name__ == "__main__":
    main()
