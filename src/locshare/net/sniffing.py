"""Tells a request for a WebSocket from any other by its first bytes. Pure.

The answer does not depend on how TCP cut the request into segments: what is decided on a part of a
head stays the decision for the whole. Nothing is checked here that the server which gets the
request checks anyway; garbage goes to the HTTP server, whose refusals are the more precise.
"""

import re
from typing import Final

HEAD_BYTES_MAX: Final = 16 * 1024
"""A head of this size is no request for a WebSocket: both servers refuse longer ones."""

_LINE_BYTES_MAX: Final = 8192
"""Of a request line. The HTTP server refuses a longer one as soon as it has this much of it."""
_METHOD_BYTES_MAX: Final = 20
_UPGRADE: Final = re.compile(rb"\r\nupgrade:[^\r\n]*websocket", re.IGNORECASE)


def wants_websocket(head: bytes, paths: tuple[bytes, ...]) -> bool | None:
    """True for a request of any method whose path ends with one of ``paths``, and for a GET with
    ``Upgrade: websocket``. None while the bytes so far do not tell. O(len(head)).

    A path that ends so is enough, because a proxy may leave the folder on it in which it serves us.
    """
    line, newline, _ = head[:_LINE_BYTES_MAX].partition(b"\n")
    too_long = not newline and len(head) >= _LINE_BYTES_MAX
    method, blank, rest = line.partition(b" ")
    if not blank or not method.isalpha() or len(method) > _METHOD_BYTES_MAX:
        return _undecided(head, _may_become_a_method(head))
    target, ended, _ = rest.partition(b" ")
    path, query, _ = target.partition(b"?")
    if not (ended or query or newline):
        return _undecided(head, not too_long)
    if path.rstrip(b"\r").endswith(paths):
        return True
    if method != b"GET" or too_long:
        return False
    end = head.find(b"\r\n\r\n")
    if end < 0:
        return _undecided(head, undecided=True)
    return _UPGRADE.search(head, 0, end) is not None


def _may_become_a_method(head: bytes) -> bool:
    # One empty line before a request is allowed (RFC 9112 section 2.2).
    return len(head) <= _METHOD_BYTES_MAX and (head.isalpha() or head in (b"", b"\r", b"\r\n"))


def _undecided(head: bytes, undecided: bool) -> bool | None:
    return None if undecided and len(head) < HEAD_BYTES_MAX else False
