"""Phoenix Channels, for servers of the same REST contract that are not this project's.

One socket, one channel: ``phx_join`` is answered by ``phx_reply``, and the events are the ``type``
and ``data`` of the plain dialect. Servers differ in what they leave out, so whatever has a sensible
default may be absent, and the state of the session may come in the reply to the join, as the event
``session_state``, or not at all: then it begins with who REST says is there.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, final
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec
from msgspec import Raw, Struct, convert

from locshare.client import (
    Connection,
    ConnectionRefused,
    End,
    Error,
    NotConnected,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantPosition,
    ParticipantUpdated,
    ParticipantView,
    Pong,
    Position,
    PresenceState,
    ServerMessage,
    SessionEnded,
    SessionUpdated,
    Snapshot,
    Unreachable,
)
from locshare.client.connection import open_websocket
from locshare.model.participant import You
from locshare.model.reasons import CloseReason
from locshare.model.session import SessionView
from locshare.wire.messages import ClientMessage, Leave, Ping, Presence, SetPace
from locshare.wire.plain import decode_from_server
from phone.backend import Backend

_SOCKET: Final = "phoenix"
_VSN: Final = "2.0.0"
_PATH: Final = "/socket/websocket"
_COLOR: Final = "#0F766E"
_LIFE: Final = timedelta(hours=24)
"""Of a session whose server does not say when it ends."""
_encode: Final = msgspec.json.Encoder().encode
_frame: Final = msgspec.json.Decoder(tuple[Any, Any, str, str, Raw])
_payload: Final = msgspec.json.Decoder(dict[str, Any])
_REFUSED: Final = {
    "unauthorized": 401, "session_not_found": 404, "session_ended": 410, "rate_limited": 429,
    "full": 403, "unmatched topic": 404,
}  # fmt: skip
"""HTTP statuses of the same meaning; any other reason may pass."""
_CLOSED: Final = {each.label: each.code for each in CloseReason} | {
    "ended": CloseReason.SESSION_ENDED.code,
    "removed": CloseReason.FORBIDDEN.code,
}


class Known(Struct, frozen=True):
    """What REST said, for a server whose channel does not say it."""

    session_id: str
    user_id: str
    name: str
    expires_at: datetime
    participants: Callable[[], Awaitable[Sequence[ParticipantView]]]


@final
class PhoenixCodec:
    """Reads and writes one channel. See :class:`locshare.client.codecs.Codec`."""

    def __init__(self, topic: str, known: Known, now: Callable[[], datetime]) -> None:
        self._topic = topic
        self._known = known
        self._now = now
        self._ref = 0
        self._join_ref = ""
        self._ended = False
        self.joined = False
        self.refusal: str | None = None
        """The reason of a join that was refused."""

    def join(self) -> str:
        """The frame that begins the channel."""
        self._join_ref = str(self._ref + 1)
        return self._push("phx_join", {})

    def encode(self, message: ClientMessage) -> str:
        """See :meth:`Codec.encode`."""
        match message:
            case Position():
                return self._push("location_update", msgspec.to_builtins(message))
            case Ping():
                self._ref += 1
                return _encode([None, str(self._ref), _SOCKET, "heartbeat", {}]).decode()
            case Leave():
                return self._push("leave", {})
            case SetPace(interval_s):
                return self._push("set_pace", {"interval_s": interval_s})
            case Presence(state):
                return self._push("presence", {"state": state})

    def decode(self, frame: str | bytes) -> Sequence[ServerMessage]:
        """See :meth:`Codec.decode`."""
        join_ref, ref, topic, event, raw = _frame.decode(frame)
        if topic == _SOCKET:
            return (Pong(),) if event == "phx_reply" else ()
        if topic != self._topic:
            return ()
        payload = _payload.decode(raw)
        if event == "phx_reply":
            return self._answered(str(ref), payload)
        if event in ("phx_close", "phx_error"):
            if join_ref is not None and str(join_ref) != self._join_ref:
                return ()  # of a channel before this one
            raise NotConnected(End.of(self._code(event, payload)))
        return self._event(event, payload)

    def _answered(self, ref: str, payload: dict[str, Any]) -> Sequence[ServerMessage]:
        response = payload.get("response")
        response = response if isinstance(response, dict) else {}
        ok = payload.get("status") == "ok"
        if ref == self._join_ref and not self.joined:
            if not ok:
                self.refusal = str(response.get("reason", "unavailable"))
                return (Pong(),)
            self.joined = True
            state = response.get("session_state", response)
            if isinstance(state, dict) and isinstance(state.get("participants"), list):
                return (self.snapshot(state),)
            return (Pong(),)
        if ok:
            return ()
        return (Error("INVALID_MESSAGE", str(response.get("reason", ""))[:200]),)

    def _event(self, event: str, data: dict[str, Any]) -> Sequence[ServerMessage]:
        if event == "session_state":
            return (self.snapshot(data),)
        if event == "session_ended":
            self._ended = True
        try:
            return (decode_from_server(_encode({"type": event, "data": data})),)
        except msgspec.ValidationError:
            found = self._lenient(event, data)
            if found is None:
                raise
            return (found,)

    def _lenient(self, event: str, data: dict[str, Any]) -> ServerMessage | None:
        """The message with defaults for what other servers leave out."""
        user_id = data.get("user_id")
        if event == "session_ended":
            return SessionEnded("ended_by_host")
        if event == "session_updated":
            return SessionUpdated(bool(data.get("locked")))
        if not isinstance(user_id, str):
            return None
        match event:
            case "participant_joined":
                person = self._person(data)
                return ParticipantJoined(user_id, person.display_name, person.avatar_color)
            case "participant_left":
                return ParticipantLeft(user_id, "left")
            case "participant_updated":
                person = self._person(data)
                return ParticipantUpdated(user_id, person.online, person.last_seen)
            case "location_update":
                return self._position(data)
        return None

    def snapshot(self, data: dict[str, Any]) -> Snapshot:
        """The state of the session, from what the server says and what is known."""
        try:
            return convert(data, Snapshot)
        except msgspec.ValidationError:
            pass
        now = self._now()
        session = data.get("session")
        session = session if isinstance(session, dict) else {}
        you = data.get("you")
        you = you if isinstance(you, dict) else {}
        people = [each for each in data.get("participants", ()) if isinstance(each, dict)]
        positions = [each for each in data.get("positions", ()) if isinstance(each, dict)]
        found = [self._position(each) for each in positions]
        return self.state(
            [self._person(each) for each in people if isinstance(each.get("user_id"), str)],
            [each for each in found if each is not None],
            name=str(session.get("name") or self._known.name),
            expires_at=_time(session.get("expires_at"), self._known.expires_at),
            role="host" if you.get("role") == "host" else "participant",
            now=now,
        )

    def state(
        self,
        people: Sequence[ParticipantView],
        positions: Sequence[ParticipantPosition] = (),
        *,
        name: str = "",
        expires_at: datetime | None = None,
        role: str = "participant",
        now: datetime | None = None,
    ) -> Snapshot:
        """A snapshot of these people, who include this device."""
        known, now = self._known, now or self._now()
        if all(each.user_id != known.user_id for each in people):
            people = [self._person({"user_id": known.user_id}), *people]
        return Snapshot(
            SessionView(known.session_id, name or known.name, now, expires_at or known.expires_at),
            You(known.user_id, "host" if role == "host" else "participant"),
            tuple(people),
            tuple(positions),
            now,
            "",
            0,
        )

    def _person(self, data: dict[str, Any]) -> ParticipantView:
        now = self._now()
        return ParticipantView(
            str(data["user_id"]),
            str(data.get("display_name") or "?")[:100],
            str(data.get("avatar_color") or _COLOR),
            _time(data.get("joined_at"), now),
            _time(data.get("last_seen"), now),
            is_active=True,
            online=data.get("online", data.get("is_active", True)) is not False,
        )

    def _position(self, data: dict[str, Any]) -> ParticipantPosition | None:
        data = {key: value for key, value in data.items() if value is not None}
        data["timestamp"] = _time(data.get("timestamp"), self._now()).isoformat()
        data.setdefault("accuracy", None)
        try:
            return convert(data, ParticipantPosition)
        except msgspec.ValidationError:
            return None

    def _code(self, event: str, payload: dict[str, Any]) -> int:
        if event == "phx_error":
            return CloseReason.INTERNAL_ERROR.code
        if self._ended:
            return CloseReason.SESSION_ENDED.code
        reason = str(payload.get("reason", ""))
        return _CLOSED.get(reason, CloseReason.FORBIDDEN.code)

    def _push(self, event: str, payload: object) -> str:
        self._ref += 1
        return _encode([self._join_ref, str(self._ref), self._topic, event, payload]).decode()


@final
class PhoenixOpener:
    """Opens the channel of one session: an :class:`~locshare.client.live.Opener`."""

    def __init__(self, backend: Backend, known: Known) -> None:
        self._topic = backend.topic.replace("{session_id}", known.session_id)
        self._known = known

    def __call__(
        self,
        url: str,
        token: str,
        *,
        timeout: float,
        dialects: Sequence[str],  # noqa: ARG002
        resume: str | None,  # noqa: ARG002
        pace: float | None,  # noqa: ARG002
        presence: PresenceState,  # noqa: ARG002
    ) -> AbstractAsyncContextManager[Connection]:
        """See :func:`locshare.client.connect`. Of the wishes none is for every server."""
        codec = PhoenixCodec(self._topic, self._known, lambda: datetime.now(UTC))

        async def begin(connection: Connection) -> Snapshot:
            return await self._begin(connection, codec)

        return open_websocket(
            url,
            urlencode({"token": token, "vsn": _VSN}),
            (),
            lambda _: (_SOCKET, codec),
            begin,
            timeout,
        )

    async def _begin(self, connection: Connection, codec: PhoenixCodec) -> Snapshot:
        await connection.send_frame(codec.join())
        asked = False
        async for message in connection:
            if isinstance(message, Snapshot):
                return message
            if codec.refusal is not None:
                status = _REFUSED.get(codec.refusal, 503)
                raise ConnectionRefused(status, codec.refusal.upper(), "the join was refused", None)
            if codec.joined and not asked:
                # What follows the join has come before the answer to this.
                asked = True
                await connection.ping()
            elif codec.joined and isinstance(message, Pong):
                return codec.state(list(await self._known.participants()))
        raise NotConnected(connection.end or End.of(1006))


def socket_address(backend: Backend, answered: str) -> str:
    """The address of the socket: the backend's, else of the server that the join has answered.
    Raises Unreachable.
    """
    found = backend.socket or answered
    parts = urlsplit(found)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise Unreachable("the server answered no address of its socket")
    path = parts.path.rstrip("/")
    if path.endswith("/ws"):
        path = path.removesuffix("/ws") + _PATH
    elif path.endswith("/socket"):
        path += "/websocket"
    return urlunsplit((parts.scheme, parts.netloc, path or _PATH, "", ""))


def _time(value: object, otherwise: datetime) -> datetime:
    """A time in RFC 3339, or in seconds or milliseconds since 1970."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return otherwise


def life_from(now: datetime) -> datetime:
    """When a session ends whose server does not say it."""
    return now + _LIFE
