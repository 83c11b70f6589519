"""The rules for a request's head beyond those of h11. Pure.

h11 is lenient where RFC 9112 allows it: it accepts a bare LF as the end of a line, joins folded
lines, keeps control characters in values, and reads ``Transfer-Encoding`` beside
``Content-Length``. A proxy in front may read each of these differently, and two readings of one
byte stream are how requests are smuggled. So they are refused here, all with 400.

Limits: :data:`TARGET_BYTES` (then 414), :class:`HeadLimits` for the rest (431).
"""

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

import h11
from msgspec import Struct

TARGET_BYTES: Final = 8_000
"""RFC 9112 section 3: a recipient supports at least 8,000 octets of a request line."""
FIELDS: Final = 100
"""Header fields of one request. A browser behind three proxies sends about 40."""

VERSIONS: Final = (b"1.1", b"1.0")

_CONTROLS: Final = bytes(set(range(0x20)) - set(b"\t")) + b"\x7f"
_ABSOLUTE: Final = re.compile(rb"(?i)https?://([^/?#]*)([^#]*)")
_HOST: Final = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]{0,5})?")
"""RFC 9110 section 7.2: uri-host [ ":" port ]. An empty one is allowed."""


class Refused(h11.RemoteProtocolError):
    """A request that gets ``status``, after which the connection is closed. ``why`` quotes nothing
    of the request.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why, error_status_hint=status)
        self.status = status
        self.why = why


class HeadLimits(Struct, frozen=True):
    """``head_bytes`` bounds the request line with all header lines, ``fields`` their number."""

    head_bytes: int
    fields: int = FIELDS


def check_bytes(data: bytes, limits: HeadLimits) -> bytes:
    """Check the part of a head that has arrived, with which ``data`` begins. A body or the next
    request may follow it. Returns the head, or the part. Raises Refused.
    """
    end = data.find(b"\r\n\r\n")
    complete = end >= 0
    head = data[: end + 4] if complete else data
    lines = head.count(b"\r\n")
    # Control characters are rare: those removed are nearly always the CR and LF of each line. A CR
    # at the end of the data may wait for its LF.
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls != 2 * lines and (complete or controls != 2 * lines + head.endswith(b"\r")):
        raise Refused(400, _NOT_TLS if head[:1] == _TLS_HANDSHAKE else _BAD_LINE)
    line_end = head.find(b"\n")
    if (len(head) if line_end < 0 else line_end) > TARGET_BYTES + _AROUND_TARGET:
        raise Refused(414, f"the request line is longer than {TARGET_BYTES} bytes")
    if len(head) > limits.head_bytes:
        raise Refused(431, f"the request's head is longer than {limits.head_bytes} bytes")
    if b"\n " in head or b"\n\t" in head:
        raise Refused(400, "a header line is folded (RFC 9112 section 5.2)")
    if lines > limits.fields + 2:  # the request line and the empty one
        raise Refused(431, f"the request has more than {limits.fields} header fields")
    return head


_BAD_LINE: Final = "the head has a control character, or a line that ends without CR LF"
_TLS_HANDSHAKE: Final = b"\x16"
"""The content type of the record with which every TLS client begins (RFC 8446 section 5.1)."""
_NOT_TLS: Final = "this port speaks plain HTTP: TLS ends at the proxy in front of it"
_AROUND_TARGET: Final = 64
"""A method, two spaces, ``HTTP/1.1`` and CR LF."""


class Head(Struct, frozen=True):
    """``request`` has a target in origin form, or ``*``, and no ``Upgrade``. ``chunked`` says how
    its body comes.
    """

    request: h11.Request
    chunked: bool


def head_of(request: h11.Request, raw: bytes) -> Head:
    """The meaning of ``request``, which h11 read from ``raw``. Raises Refused."""
    if request.http_version not in VERSIONS:
        raise Refused(505, "this server speaks HTTP/1.1 (and 1.0) only")
    if request.method == b"CONNECT":
        raise Refused(405, "this server is not a proxy: CONNECT is not allowed")
    if request.method != request.method.upper():  # RFC 9110 section 9.1: methods have a case
        raise Refused(405, "methods are in capitals")
    headers = list(request.headers)
    chunked, upgrade = _checked_headers(request.http_version, headers, raw)
    target = request.target
    host = None
    if target[:1] == b"/":
        if len(target) > TARGET_BYTES:
            raise Refused(414, f"the path is longer than {TARGET_BYTES} bytes")
        if b"#" in target:
            raise Refused(400, "the path has a fragment (#), which is not sent to servers")
    elif target != b"*":
        target, host = _from_absolute(target, request.method)
    elif request.method != b"OPTIONS":
        raise Refused(400, "the target * is for OPTIONS only")
    if upgrade:
        headers = [(name, value) for name, value in headers if name != b"upgrade"]
    if host is not None:
        headers = [(b"host", host), *((name, value) for name, value in headers if name != b"host")]
    if upgrade or host is not None:
        request = h11.Request(
            method=request.method,
            target=target,
            headers=headers,
            http_version=request.http_version,
        )
    return Head(request, chunked)


def _checked_headers(
    version: bytes, headers: list[tuple[bytes, bytes]], raw: bytes
) -> tuple[bool, bool]:
    """Whether the body comes in chunks, and whether there is an ``Upgrade``. Raises Refused when
    the end of the body is not clear.
    """
    has_length = chunked = upgrade = False
    for name, value in headers:
        if name == b"host":
            if not _is_host(value):
                raise Refused(400, "the Host header is not a host name with an optional port")
        elif name == b"content-length":
            has_length = True
        elif name == b"transfer-encoding":
            chunked = True
        elif name == b"upgrade":
            upgrade = True
        elif name == b"expect" and value.lower() != b"100-continue" and version != b"1.0":
            raise Refused(417, "the only expectation that is met is 100-continue")
    if has_length:
        _check_length(raw)
    if chunked and has_length:
        raise Refused(400, "both Content-Length and Transfer-Encoding are given")
    if chunked and version == b"1.0":
        raise Refused(400, "HTTP/1.0 has no Transfer-Encoding")
    return chunked, upgrade


def _check_length(raw: bytes) -> None:
    """Refuse anything but one ``Content-Length`` with one number. h11 also accepts ``5, 5`` and two
    equal lines, and shows one.
    """
    found = _LENGTHS.findall(raw)
    if len(found) != 1 or not found[0].strip(b" \t").isdigit():
        raise Refused(400, "Content-Length is not one number")


_LENGTHS: Final = re.compile(rb"(?i)\ncontent-length:([^\r\n]*)")


def _from_absolute(target: bytes, method: bytes) -> tuple[bytes, bytes]:
    """The path and the host of a target in absolute form, which a server must accept (RFC 9112
    section 3.2.2). ``Host`` is then ignored.
    """
    parts = _ABSOLUTE.fullmatch(target)
    if parts is None:
        raise Refused(400, "the target is not a path: it begins with neither / nor http://")
    authority, rest = parts.groups()
    if not authority or not _is_host(authority):
        raise Refused(400, "the target's host is not a host name with an optional port")
    if rest[:1] != b"/":
        rest = b"*" if method == b"OPTIONS" and not rest else b"/" + rest
    if len(rest) > TARGET_BYTES:
        raise Refused(414, f"the path is longer than {TARGET_BYTES} bytes")
    return rest, authority


@lru_cache(maxsize=64)  # a client sends the same name each time
def _is_host(value: bytes) -> bool:
    found = _HOST.fullmatch(value)
    if found is None:
        return False
    if found[1] is not None:
        try:
            IPv6Address(found[1].decode("ascii"))
        except ValueError:
            return False
    return True
