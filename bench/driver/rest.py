"""Sessions and participants by the REST contract (docs/reference/rest.md), some at a time."""

import contextlib
import http.client
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from bench.driver.dialect import Access
from bench.driver.plan import Participant
from bench.driver.trust import trusting, unverified
from bench.targets.target import NotServing
from locshare.client.errors import retry_after_of

CALLERS = 8
"""Requests at a time."""
PATIENCE_S = 60.0
"""How long a server that says "later" is asked again."""
TIMEOUT_S = 30.0
_LONGEST_WAIT_S = 10.0

T = TypeVar("T")


class _Created(Struct):
    session_id: str
    host_token: str = ""


class _Joined(Struct):
    user_id: str
    websocket_token: str
    websocket_url: str = ""


class Room(Struct, frozen=True):
    """A session and who could join it, in the order they were given; None: could not."""

    session_id: str
    host_token: str
    joined: tuple[tuple[Access, str] | None, ...]
    """With the ``websocket_url`` that the join was answered with."""


class _Later(Exception):
    def __init__(self, after_s: float) -> None:
        self.after_s = after_s


class Rest:
    """The REST interface at ``url``. Every thread has one connection, kept open."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NotServing(f"{url!r} is no http:// or https:// address")
        self._tls = trusting() if parts.scheme == "https" else None
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/")
        self._local = threading.local()
        self._open: list[http.client.HTTPConnection] = []

    def fill(
        self, sessions: Sequence[Sequence[Participant]], say: Callable[[int, int], None]
    ) -> list[Room]:
        """Create the sessions, join everybody. ``say`` is told how many of how many have joined.
        Raises NotServing when a session cannot be created, or nobody can join.
        """
        everyone = sum(map(len, sessions))
        done = 0

        def join(place: tuple[str, Participant]) -> tuple[Access, str] | None:
            nonlocal done
            found = self._join(*place)
            done += 1
            say(done, everyone)
            return found

        with ThreadPoolExecutor(CALLERS) as pool:
            try:
                created = list(pool.map(lambda _: self._create(), sessions))
                places = [
                    (room.session_id, participant)
                    for room, participants in zip(created, sessions, strict=True)
                    for participant in participants
                ]
                joined = list(pool.map(join, places))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        self.hang_up()
        if not any(joined):
            raise NotServing(f"nobody of {everyone} people could join")
        rooms, at = [], 0
        for room, participants in zip(created, sessions, strict=True):
            mine = tuple(joined[at : at + len(participants)])
            rooms.append(Room(room.session_id, room.host_token, mine))
            at += len(participants)
        return rooms

    def websocket_url(self) -> str:
        """Where whoever joins is told to connect, as somebody is told who joins a session that is
        ended at once. Raises NotServing.
        """
        created = self._create()
        path = f"/api/sessions/{created.session_id}"
        joined = self._ask("POST", f"{path}/join", {"display_name": "bench"}, _Joined)
        self.end([Room(created.session_id, created.host_token, ())])
        return joined.websocket_url

    def end(self, rooms: Sequence[Room]) -> None:
        """The hosts end the sessions. A server that has none left, or cannot, is left alone."""
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(self._end, rooms))
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connections of all threads."""
        for each in self._open:
            each.close()
        self._open.clear()
        self._local = threading.local()

    def _create(self) -> _Created:
        return self._ask("POST", "/api/sessions", {"name": "bench"}, _Created)

    def _join(self, session_id: str, who: Participant) -> tuple[Access, str] | None:
        body = {"display_name": who.name, "avatar_color": who.color}
        try:
            found = self._ask("POST", f"/api/sessions/{session_id}/join", body, _Joined)
        except NotServing:
            return None
        return Access(session_id, found.user_id, found.websocket_token), found.websocket_url

    def _end(self, room: Room) -> None:
        with contextlib.suppress(NotServing, _Later):
            self._request("DELETE", f"/api/sessions/{room.session_id}", None, room.host_token)

    def _ask(self, method: str, path: str, body: object, kind: type[T]) -> T:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return msgspec.json.decode(self._request(method, path, body), type=kind)
            except _Later as later:
                if time.monotonic() + later.after_s > deadline:
                    raise NotServing(f"{method} {path}: asked to come later for too long") from None
                time.sleep(later.after_s)
            except msgspec.MsgspecError as error:
                raise NotServing(f"{method} {path}: {error}") from error

    def _request(self, method: str, path: str, body: object, token: str = "") -> bytes:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connection()
            self._local.connection = connection
            self._open.append(connection)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(body)
        try:
            connection.request(method, self._path + path, content, headers)
            answer = connection.getresponse()
            data = answer.read()
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise unverified(self._host, error) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise NotServing(f"{method} {path}: {type(error).__name__}: {error}") from error
        if answer.status in (429, 503):
            after = retry_after_of(answer.headers.get("Retry-After"))
            raise _Later(min(1.0 if after is None else max(after, 0.1), _LONGEST_WAIT_S))
        if answer.status >= 300:
            raise NotServing(f"{method} {path}: {answer.status} {data[:200]!r}")
        return data

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=TIMEOUT_S, context=self._tls
        )
