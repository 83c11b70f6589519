"""The addresses to listen on: free, or held by a locshare that answers, by one that hangs, or by
something else.
"""

import errno
import os
import socket
from typing import Final, Literal

import httpx
import trio
from msgspec import Struct

from locshare.config import Settings, parse_bind
from locshare.maintenance.doctor.findings import Finding, error, ok, warning
from locshare.maintenance.doctor.machine import running_server
from locshare.net.addresses import addresses
from locshare.net.listening import CannotListen, listen

_ANSWER_S: Final = 3.0

Answer = Literal["ours", "foreign", "silent"]
State = Answer | Literal["free", "forbidden", "no address", "other"]


class PortFacts(Struct, frozen=True):
    """``name`` is the setting's."""

    name: str
    bind: str
    state: State
    reason: str = ""
    server: int | None = None
    """The process id of the server with these settings, where it is to be known."""


def judge_port(facts: PortFacts) -> Finding:
    variable = f"LOCSHARE_{facts.name.upper()}"
    check, what = "ports", f"{facts.name} {facts.bind}"
    match facts.state:
        case "free":
            return ok(check, f"{what} is free")
        case "ours":
            return ok(check, f"{what}: a locshare answers there")
        case "foreign":
            text = f"{what} is taken by another program"
            return error(check, text, f"Stop what listens there, or choose another ({variable})")
        case "silent" if facts.server is not None:
            text = f"{what}: the server (process {facts.server}) is there and does not answer"
            do = (
                f"Its loop hangs, or the machine gives it no time: end it (kill {facts.server},"
                " after 28 s kill -9), and start it again; only positions are lost"
            )
            return error(check, text, do)
        case "silent":
            text = f"{what} is taken by another program, or by a server that does not answer"
            do = (
                "Ask again in a minute if a server is just starting. Else stop what listens there,"
                f" or choose another ({variable})"
            )
            return error(check, text, do)
        case "forbidden":
            do = f"Ports below 1024 need a privilege: choose a higher one ({variable})"
            return error(check, f"this user may not listen on {what}", do)
        case "no address":
            return error(check, f"this machine has no address {what}", f"Correct {variable}")
        case _:
            return error(check, f"{what}: {facts.reason}", f"Correct {variable}")


def judge_exposure(settings: Settings) -> list[Finding]:
    """What listens for everybody and should not. Pure."""
    found = []
    for name in ("internal_bind", "debug_bind"):
        bind = getattr(settings, name)
        if bind is None:
            continue
        host, _ = parse_bind(bind)
        if host is None or host in ("0.0.0.0", "::"):  # noqa: S104 - recognised, not bound
            text = f"{name} {bind} listens on all interfaces, and has no login"
            do = f"Bind it to 127.0.0.1 (LOCSHARE_{name.upper()}), or keep it behind a firewall"
            found.append(warning("ports", text, do))
    return found


async def look_at_ports(settings: Settings) -> list[Finding]:
    names = ["internal_bind", "debug_bind"]
    names[:0] = ["http_bind", "ws_bind"] if settings.bind is None else ["bind"]
    server = await running_server(settings)
    found = []
    for name in names:
        bind = getattr(settings, name)
        if bind is not None:
            found.append(judge_port(await _facts_of(name, bind, server)))
    return found + judge_exposure(settings)


async def _facts_of(name: str, bind: str, server: int | None) -> PortFacts:
    host, port = parse_bind(bind)
    try:
        for sock in await listen(host, port, 1):
            sock.close()
    except CannotListen as failure:
        reason = os.strerror(failure.errno or 0)
        state: State = "other"
        if failure.errno == errno.EADDRINUSE:
            state = await answer_of(host, port)
        elif failure.errno in (errno.EACCES, errno.EPERM):
            state = "forbidden"
        elif failure.errno == errno.EADDRNOTAVAIL or isinstance(failure.__cause__, socket.gaierror):
            state = "no address"
        return PortFacts(name, bind, state, reason, server)
    return PortFacts(name, bind, "free")


async def answer_of(host: str | None, port: int) -> Answer:
    """Whether a locshare answers there: the API by its health, the WebSocket port by its refusal,
    the debug port by its tree. ``silent``: a connection is taken, and nothing comes of it.
    """
    place = (host or "", port)
    url = addresses(place, place).http_url
    with trio.move_on_after(_ANSWER_S):
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=_ANSWER_S) as client:
                return "ours" if await _is_locshare(client, url) else "foreign"
        except httpx.TimeoutException:
            return "silent"
        except httpx.HTTPError:
            return "foreign"
    return "silent"


async def _is_locshare(client: httpx.AsyncClient, url: str) -> bool:
    health = await client.get(f"{url}/health/live")
    if health.status_code == httpx.codes.OK:
        return health.text.replace(" ", "") == '{"status":"ok"}'
    refusal = await client.get(f"{url}/ws")
    return str(refusal.headers.get("content-type")) == "application/problem+json"
