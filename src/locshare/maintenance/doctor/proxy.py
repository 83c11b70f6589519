"""What the proxy in front makes of requests, judged from what arrived at the server. Pure."""

import re
from collections.abc import Sequence
from typing import Final

from locshare.maintenance.doctor.findings import Finding, error, ok
from locshare.net.client_address import ClientAddress, ForwardedHeader
from locshare.net.observer import ObservedRequest

FORGED: Final = "192.0.2.77"
"""RFC 5737: who the doctor claims to be. A proxy appends its client to the header or replaces it;
one that passes it on unchanged would let anybody claim anything."""
FORGERY: Final = {"X-Forwarded-For": FORGED, "Forwarded": f"for={FORGED}"}
_FOR: Final = re.compile(r"for=\"?\[?([^\s;,\"\]]+)", re.IGNORECASE)
_CHECK: Final = "proxy"
_PAGE: Final = "docs/guides/deploy.md has the lines for nginx, Caddy, HAProxy and Apache"


def judge_forwarding(
    seen: ObservedRequest,
    *,
    own_port: int | None,
    trusted: Sequence[str],
    header: ForwardedHeader,
) -> Finding:
    """``seen`` came from our socket's ``own_port`` (None: unknown) with :data:`FORGERY`.

    The entry on the right is the proxy's: what counts is who it says is there. Our own address may
    be that of a trusted proxy, so it is not asked by which address the server counted us.
    """
    if is_direct(seen, own_port):
        return ok(_CHECK, "no proxy is between: requests come as they were sent")
    if ClientAddress(trusted, header).of_peer(seen.peer) is not None:
        return error(
            _CHECK,
            f"the proxy at {seen.peer} is not trusted, so that all clients count as one",
            f"Add it to LOCSHARE_TRUSTED_PROXIES, as {seen.peer} or its network",
        )
    named_for = [part.strip() for value in seen.forwarded_for for part in value.split(",")]
    named = [part for value in seen.forwarded for part in _FOR.findall(value)]
    by_forwarded = header == "forwarded" or (header == "auto" and not named_for)
    name, entries = ("Forwarded", named) if by_forwarded else ("X-Forwarded-For", named_for)
    if not entries:
        what = "Forwarded" if header == "forwarded" else "X-Forwarded-For"
        return error(
            _CHECK,
            f"the proxy does not send {what}: all clients count as one",
            f"Let it send the client's address: {_PAGE}",
        )
    if entries[-1] != FORGED:
        return ok(_CHECK, f"the proxy at {seen.peer} says in {name} that {entries[-1]} asks")
    do = f"Let the proxy append the client's address to it, or replace it: {_PAGE}"
    if not by_forwarded and named and named[-1] != FORGED:
        do = "Set LOCSHARE_FORWARDED_HEADER=forwarded: that is the header which the proxy writes"
    return error(
        _CHECK,
        f"the proxy passes {name} on as the client sent it: anybody can pretend to be another, and"
        " limits mean nothing",
        do,
    )


def judge_socket(seen: ObservedRequest) -> Finding | None:
    """A WebSocket through a proxy that says whom the page's requests are from. Only what is wrong:
    proxies often have rules of their own for its path.
    """
    if seen.forwarded_for or seen.forwarded:
        return None
    return error(
        _CHECK,
        "the proxy does not name the client of a WebSocket: all of them count as one",
        f"Let it send X-Forwarded-For on the path of the WebSocket too: {_PAGE}",
    )


def is_direct(seen: ObservedRequest, own_port: int | None) -> bool:
    """Whether ``seen`` came from our own socket."""
    return seen.peer_port is not None and seen.peer_port == own_port


def judge_upgrade(status: int, code: str, detail: str) -> Finding:
    """The refusal of a WebSocket that should have been accepted."""
    check = "websocket"
    if "came as HTTP" in detail or "came without" in detail:
        what, _, advice = detail.partition("; ")
        return error(check, what, f"{advice[:1].upper()}{advice[1:]}")
    if status in (404, 405) and not code:
        do = (
            "Let the proxy pass /ws to the server's WebSocket port, or use one port (LOCSHARE_BIND)"
        )
        return error(check, f"the proxy answers {status} to the WebSocket's path", do)
    if status in (502, 503, 504) and not code:
        do = "Look at where the proxy passes /ws to, and whether that is the server's port"
        return error(check, f"the proxy answers {status}: it does not reach the server", do)
    what = f"{status} {code}".strip()
    return error(check, f"the WebSocket is refused: {what}: {detail}", f"See {_PAGE}")


def judge_idle(held_s: float, wanted_s: float, cut: str | None, ping_s: float) -> Finding:
    """How long a connection was held on which only the server pinged; ``cut`` is how it ended
    before its time, None when it did not.
    """
    check = "idle"
    if cut is None:
        if held_s >= ping_s:
            return ok(check, f"a quiet connection was kept for {held_s:.0f} s, pings included")
        return ok(
            check,
            f"a quiet connection was kept for {held_s:.0f} s of the {ping_s:g} s between two pings"
            f" (longer: --idle {2 * ping_s + 35:.0f})",
        )
    text = f"a quiet connection was cut after {held_s:.0f} s of {wanted_s:.0f} ({cut})"
    do = (
        f"Raise the proxy's time-out for idle connections above {ping_s:g} s, or lower"
        f" LOCSHARE_PING_INTERVAL_S below {max(held_s, 1):.0f}"
    )
    return error(check, text, do)
