"""Sessions and participants over the REST contract (docs/reference/rest.md), some calls at a time.

Reads only the fields that a measurement needs, so that any server of the contract will do.
"""

import contextlib
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Struct

from bench.certificates import trusted_authorities, unverified
from bench.errors import NotServing
from locshare.client.errors import retry_after_of

CALLERS = 8
"""Requests at a time."""
RETRIES_END_S = 60.0
"""How long a call is retried while the server answers 429 or 503."""
TIMEOUT_S = 30.0
_LONGEST_WAIT_S = 10.0

T = TypeVar("T")
R = TypeVar("R")


class CreatedSession(Struct, frozen=True):
    session_id: str
    host_token: str = ""


class Joined(Struct, frozen=True):
    user_id: str
    websocket_token: str
    websocket_url: str = ""


class Profile(NamedTuple):
    """What a participant joins with."""

    name: str
    color: str = "#2E86AB"


class Room(Struct, frozen=True):
    """A session and its participants, in the order of their profiles; None could not join."""

    session: CreatedSession
    joined: tuple[Joined | None, ...]


class Rest:
    """The REST interface at ``url``, a context manager. Every call raises NotServing."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NotServing(f"{url!r} is no http:// or https:// address")
        self._host = parts.hostname
        self._http = httpx.Client(
            base_url=url,
            timeout=TIMEOUT_S,
            trust_env=False,
            verify=trusted_authorities() if parts.scheme == "https" else False,
            limits=httpx.Limits(max_connections=CALLERS),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def create(self) -> CreatedSession:
        return self._decoded("POST", "/api/sessions", CreatedSession, {"name": "bench"})

    def join(self, session_id: str, profile: Profile) -> Joined:
        body = {"display_name": profile.name, "avatar_color": profile.color}
        return self._decoded("POST", f"/api/sessions/{session_id}/join", Joined, body)

    def end(self, session: CreatedSession) -> None:
        """End the session for all. A session that is gone already is no error."""
        with contextlib.suppress(NotServing):
            path = f"/api/sessions/{session.session_id}"
            self.request("DELETE", path, token=session.host_token)

    def each(self, function: Callable[[T], R], arguments: Iterable[T]) -> list[R]:
        """``function`` of each argument, CALLERS at a time; the results in the same order."""
        with ThreadPoolExecutor(CALLERS) as pool:
            try:
                return list(pool.map(function, arguments))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def fill(self, groups: Sequence[Sequence[Profile]]) -> list[Room]:
        """A new session for each group, which all of its people join. Raises NotServing when a
        session cannot be created, or nobody can join.
        """
        sessions = self.each(lambda _: self.create(), groups)
        places = [
            (session.session_id, profile)
            for session, group in zip(sessions, groups, strict=True)
            for profile in group
        ]
        joined = iter(found := self.each(self._try_to_join, places))
        if not any(found):
            raise NotServing(f"none of {len(places)} people could join")
        return [
            Room(session, tuple(next(joined) for _ in group))
            for session, group in zip(sessions, groups, strict=True)
        ]

    def _try_to_join(self, place: tuple[str, Profile]) -> Joined | None:
        try:
            return self.join(*place)
        except NotServing:
            return None

    def websocket_url(self) -> str:
        """Where participants are to connect: the answer to a join of a session ended at once."""
        session = self.create()
        try:
            return self.join(session.session_id, Profile("bench")).websocket_url
        finally:
            self.end(session)

    def _decoded(self, method: str, path: str, kind: type[R], body: object) -> R:
        try:
            return msgspec.json.decode(self.request(method, path, body), type=kind)
        except msgspec.MsgspecError as error:
            raise NotServing(f"{method} {path}: {error}") from error

    def request(self, method: str, path: str, body: object = None, *, token: str = "") -> bytes:
        """The body of the answer. 429 and 503 are retried after ``Retry-After``."""
        deadline = time.monotonic() + RETRIES_END_S
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        while True:
            try:
                answer = self._http.request(method, path, json=body, headers=headers)
            except httpx.HTTPError as error:
                raise self._unreachable(f"{method} {path}", error) from error
            if answer.status_code not in (429, 503) or time.monotonic() > deadline:
                break
            wait_s = retry_after_of(answer.headers.get("Retry-After"))
            time.sleep(min(1.0 if wait_s is None else max(wait_s, 0.1), _LONGEST_WAIT_S))
        if answer.is_error:
            raise NotServing(f"{method} {path}: {answer.status_code} {answer.content[:200]!r}")
        return answer.content

    def _unreachable(self, call: str, error: BaseException) -> NotServing:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return unverified(self._host, cause)
            cause = cause.__cause__ or cause.__context__
        return NotServing(f"{call}: {type(error).__name__}: {error}")
