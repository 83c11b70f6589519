"""Waits for the first bytes of a request without taking them from the socket (``MSG_PEEK``).

Whoever gets the socket afterwards reads the request as if nobody had looked at it.
"""

import socket
from collections.abc import Callable

import trio
from msgspec import Struct

from locshare.net.sniffing import HEAD_BYTES_MAX

Judge = Callable[[bytes], bool | None]
"""Of the bytes so far: True or False once they tell, None until then."""

TakeSocket = Callable[[socket.socket, tuple[str, int]], None]
"""Takes over a connected, non-blocking socket and the address of its peer. Raises nothing."""


class HandOver(Struct, frozen=True):
    """Which requests on a connection are for another server, and how it gets the socket."""

    judge: Judge
    take: TakeSocket


def peek(sock: socket.socket) -> bytes | None:
    """The bytes that have come and were not read; ``b""`` at the end of the stream, None when there
    are none yet. Raises OSError.
    """
    try:
        return sock.recv(HEAD_BYTES_MAX, socket.MSG_PEEK)
    except BlockingIOError:
        return None


async def peek_until(
    sock: socket.socket, judge: Judge, progress: Callable[[], None] = lambda: None
) -> bool:
    """Wait until ``judge`` can tell. Calls ``progress`` whenever a part came and more is needed.

    A stream that ends before is not wanted: False. Raises OSError of a socket that was reset. The
    caller bounds the time. Cancelled or not, the bytes are still in the socket.
    """
    seen = 0
    try:
        while True:
            head = peek(sock)
            if head is not None:
                answer = judge(head)
                if answer is not None:
                    return answer
                if len(head) <= seen:
                    return False  # woken without a further byte: the stream has ended
                progress()
                seen = len(head)
                # What was peeked at stays readable. Wake for more than that, or for the end.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, seen + 1)
            await trio.lowlevel.wait_readable(sock)
    finally:
        if seen and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
