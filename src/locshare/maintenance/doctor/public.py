"""From the outside in: the public address, TLS, what the proxy passes on, a whole WebSocket.

With a server that runs and a control socket that may be opened, the server itself says what arrived
(:mod:`locshare.net.observer`). A session is made for the WebSocket, and ended afterwards.
"""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, final
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import msgspec
import trio

from locshare.client import ClientError, Connection, ConnectionRefused, Pong, connect
from locshare.config import Settings, parse_bind
from locshare.maintenance.doctor.findings import Finding, error, ok, skipped, warning
from locshare.maintenance.doctor.ports import answer_of
from locshare.maintenance.doctor.proxy import (
    FORGERY,
    is_direct,
    judge_forwarding,
    judge_idle,
    judge_socket,
    judge_upgrade,
)
from locshare.maintenance.doctor.reach import (
    Answer,
    Unreached,
    ask,
    handshake,
    judge_answer,
    judge_public_url,
    judge_tls,
    unseen,
)
from locshare.maintenance.doctor.reach import connect as connect_tcp
from locshare.net.addresses import addresses
from locshare.net.observer import PARAMETER, ObservedRequest
from locshare.ops.control import ControlError, open_control
from locshare.ops.inspection.observe import Observation, Observe
from locshare.wire.answers import SessionCreated, SessionJoined

SEEN_S: Final = 5.0
"""How long the server may take to say that a request arrived."""
DEFAULT_IDLE_S: Final = 3.0
LONGEST_IDLE_S: Final = 900.0
_PONG_S: Final = 5.0
_NAME: Final = "locshare doctor"


@final
class Watch:
    """What arrives at the running server, or ``why_not`` that cannot be seen."""

    def __init__(self, name: str = "", why_not: str = "") -> None:
        self.name = name
        self.why_not = why_not
        self.own_port: int | None = None
        self.seen: ObservedRequest | None = None
        """The request of the public address, which came from ``own_port``."""
        self._put, self._seen = trio.open_memory_channel[ObservedRequest](32)

    def arrived(self, request: ObservedRequest) -> None:
        """For the task that listens."""
        try:
            self._put.send_nowait(request)
        except trio.WouldBlock:
            return

    async def next(self, port: str) -> ObservedRequest | None:
        """The next request on ``port`` (http, websocket); None when none arrives in time."""
        with trio.move_on_after(SEEN_S):
            async for request in self._seen:
                if request.port == port:
                    return request
        return None


@asynccontextmanager
async def watching(settings: Settings, seconds: float) -> AsyncIterator[Watch]:
    """A watch for the block. Raises nothing itself."""
    path = settings.control_path
    if path is None:
        yield Watch(why_not="control_socket is off")
        return
    async with trio.open_nursery() as nursery:
        try:
            watch = await nursery.start(_listen, path, seconds)
        except ControlError as failure:
            watch = Watch(why_not=failure.message)
        yield watch
        nursery.cancel_scope.cancel()


async def _listen(path: object, seconds: float, *, task_status: "trio.TaskStatus[Watch]") -> None:
    watch: Watch | None = None
    refusal: ControlError | None = None
    try:
        async with open_control(path) as control:  # type: ignore[arg-type]
            async for item in control.stream(Observe(seconds), Observation):
                if watch is None:
                    watch = Watch(item.name)
                    task_status.started(watch)
                elif item.request is not None:
                    watch.arrived(item.request)
    except ControlError as failure:
        refusal = failure
    if watch is None:
        task_status.started(Watch(why_not=refusal.message if refusal else "it ended at once"))


def public_url_of(settings: Settings) -> str:
    """The address in join links, as the server makes it."""
    host, port = parse_bind(settings.bind or settings.http_bind)
    place = (host or "", port)
    return addresses(place, place, settings.public_url, settings.public_ws_url).public_url


async def look_from_outside(
    settings: Settings, idle_s: float = DEFAULT_IDLE_S
) -> AsyncIterator[Finding]:
    """The findings, as they come."""
    url = public_url_of(settings)
    form = judge_public_url(url, given=settings.public_url is not None)
    if form is not None:
        yield form
    if parse_bind(settings.bind or settings.http_bind)[1] == 0 and settings.public_url is None:
        yield skipped("public", "the port is another with each start")
        return
    answer = await answer_of(*parse_bind(settings.bind or settings.http_bind))
    if answer == "silent" and settings.public_url is None:
        yield skipped("public", "the server does not answer", "See the finding on its port")
        return
    if answer == "foreign" and settings.public_url is None:
        yield skipped("public", "the server does not run", "Start it, and ask again")
        return
    try:
        async with watching(settings, idle_s + 60) as watch:
            found: list[Finding] = []
            try:
                await _examine(settings, url, watch, found, idle_s)
            except Unreached as failure:
                found.append(failure.finding)
            for each in found:
                yield each
    except* ControlError as group:
        yield skipped("proxy", str(group.exceptions[0]))


async def _examine(
    settings: Settings, url: str, watch: Watch, found: list[Finding], idle_s: float
) -> None:
    """Append what is found. Raises Unreached."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    await connect_tcp(host, port)
    trust = ssl.create_default_context()
    refused = False
    if secure:
        tls = await handshake(host, port, trust)
        found.append(judge_tls(tls, host))
        refused = bool(tls.refusal)
    # Nothing secret is sent to a server whose certificate is refused.
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    async with httpx.AsyncClient(verify=anyone if refused else trust, trust_env=False) as http:
        query = {PARAMETER: watch.name} if watch.name else {}
        about = f"{url}/api/sessions/{uuid4()}"
        answer = await ask(http, "GET", about, params=query, headers=FORGERY)
        found.append(judge_answer(url, answer.status, answer.content_type, answer.body))
        if found[-1].level != "ok":
            return
        watch.seen = await watch.next("http") if watch.name else None
        found.append(_judge_arrival(settings, watch, answer))
        if refused:
            found.append(skipped("websocket", "the certificate comes first"))
            return
        await _try_websocket(settings, url, http, watch, found, idle_s)


def _judge_arrival(settings: Settings, watch: Watch, answer: Answer) -> Finding:
    if not watch.name:
        return unseen(watch.why_not)
    seen = watch.seen
    if seen is None:
        text = "a locshare answers there, and it is another one than the one on this machine"
        do = "Correct LOCSHARE_PUBLIC_URL, or where the proxy passes requests to"
        return error("proxy", text, do)
    watch.own_port = answer.own_port
    return judge_forwarding(
        seen,
        own_port=answer.own_port,
        trusted=settings.trusted_proxies,
        header=settings.forwarded_header,
    )


async def _try_websocket(
    settings: Settings,
    url: str,
    http: httpx.AsyncClient,
    watch: Watch,
    found: list[Finding],
    idle_s: float,
) -> None:
    """A session, a member, a connection, an answer over it, silence; the session is ended."""
    body = {"name": _NAME, "expires_in_minutes": 60}
    made = await ask(http, "POST", f"{url}/api/sessions", json=body)
    if made.status != 201:
        found.append(_not_made(made))
        return
    session = msgspec.json.decode(made.body, type=SessionCreated)
    about = f"{url}/api/sessions/{session.session_id}"
    host = {"Authorization": f"Bearer {session.host_token}"}
    try:
        answer = await ask(http, "POST", f"{about}/join", json={"display_name": _NAME})
        if answer.status != 201:
            found.append(_not_made(answer))
            return
        joined = msgspec.json.decode(answer.body, type=SessionJoined)
        await _converse(settings, joined, watch, found, idle_s)
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + SEEN_S):
            try:
                await ask(http, "DELETE", about, headers=host)
            except Unreached:
                found.append(
                    warning("websocket", "the session of this check was not ended",
                            "It ends within the hour")
                )  # fmt: skip


def _not_made(answer: Answer) -> Finding:
    if answer.status == 429:
        return skipped("websocket", "this address made or joined too many sessions just now",
                       "Ask again in a minute")  # fmt: skip
    text = f"a session cannot be made: {answer.status}"
    return error("websocket", text, "See the finding on the database, and the server's log")


async def _converse(
    settings: Settings, joined: SessionJoined, watch: Watch, found: list[Finding], idle_s: float
) -> None:
    query = f"?{PARAMETER}={watch.name}" if watch.name else ""
    try:
        async with connect(joined.websocket_url + query, joined.websocket_token) as connection:
            began = trio.current_time()
            with trio.move_on_after(_PONG_S) as waiting:
                await connection.ping()
                await _next_pong(connection)
            if waiting.cancelled_caught:
                do = "Let the proxy pass WebSocket frames on at once, without buffering"
                found.append(error("websocket", "no answer comes over the WebSocket", do))
                return
            ms = (trio.current_time() - began) * 1000
            text = f"{joined.websocket_url} carries messages, there and back in {ms:.1f} ms"
            found.append(ok("websocket", text))
            if watch.name:
                found += await _judge_socket_arrival(watch, found)
            began = trio.current_time()
            with trio.move_on_after(idle_s):
                async for _ in connection:
                    pass
            end = connection.end
            held = trio.current_time() - began
            ping_s = settings.connections.ping_interval
            found.append(judge_idle(held, idle_s, None if end is None else end.text, ping_s))
    except ConnectionRefused as refusal:
        found.append(judge_upgrade(refusal.status, refusal.code, refusal.detail))
    except ClientError as failure:
        do = "Look at how the proxy serves /ws, and at LOCSHARE_PUBLIC_WS_URL"
        found.append(error("websocket", f"{joined.websocket_url}: {failure}", do))


async def _next_pong(connection: Connection) -> None:
    async for message in connection:
        if isinstance(message, Pong):
            return


async def _judge_socket_arrival(watch: Watch, found: Sequence[Finding]) -> list[Finding]:
    seen = await watch.next("websocket")
    if seen is None or watch.seen is None or is_direct(watch.seen, watch.own_port):
        return []
    if any(each.check == "proxy" and each.level == "error" for each in found):
        return []  # it is said already
    finding = judge_socket(seen)
    return [] if finding is None else [finding]
