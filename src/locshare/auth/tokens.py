"""Tokens: who may speak as whom, in which session, until when.

A token is a JWT signed with HS256 and nothing else; the header's ``kid`` picks the key, never the
algorithm. It lives exactly as long as its session (``exp`` is the session's end), so an expired
token means that the session is over. Nothing is looked up to check one, so tokens stay valid over
restarts of the server; what the store says about the participant is asked elsewhere.

Keys rotate: new tokens are signed with the current key, tokens of the previous key are accepted
until a date. After that date the previous key counts for nothing.

Promises: no text of an error, no repr and no log line holds a token or a key. Nothing here awaits.
The secret file is read and made with plain blocking calls, once, at the start.
"""

import base64
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import jwt
from msgspec import Struct

from locshare.model.errors import LocshareError
from locshare.model.participant import Role

ALGORITHM: Final = "HS256"
ISSUER: Final = "locshare"
AUDIENCE: Final = "locshare"
MIN_SECRET_BYTES: Final = 32
"""RFC 7518 section 3.2: an HS256 key has at least as many bits as its hash."""
_WAY_OUT: Final = "Choose another place with --data-dir, or set LOCSHARE_JWT_SECRET"
MAX_TOKEN_CHARS: Final = 2048
"""Ours have about 400; nothing longer is worth a base64 decoding."""
LEEWAY_S: Final = 5
"""How late an expired token is still taken: clocks of several servers may differ a little."""

_REQUIRED = ["iss", "aud", "sub", "session", "role", "iat", "exp", "jti"]
_ROLES: dict[object, Role] = {"participant": "participant", "host": "host"}


class TokenInvalid(LocshareError):
    """Not a token of ours: malformed, forged, of another key, or with claims that make no sense."""


class TokenExpired(LocshareError):
    """A token of ours whose session has come to its end."""


class SecretError(LocshareError):
    """The signing secret cannot be used. The text says why and what to do, never the secret."""


class Claims(Struct, frozen=True):
    """What a valid token says. ``expires_at`` is aware, in UTC."""

    user_id: str
    session_id: UUID
    role: Role
    expires_at: datetime
    token_id: str


def key_id(secret: bytes) -> str:
    """The ``kid`` of a key: 8 hex digits of a hash that serves nothing else."""
    return hashlib.sha256(b"locshare key id\0" + secret).hexdigest()[:8]


class TokenKeys:
    """Signs tokens with the current key; accepts those of the previous one until a date.

    ``previous_until`` must be aware; without it the previous key is accepted for ever.
    Raises SecretError when a secret is shorter than 32 bytes.
    """

    __slots__ = ("_current", "_kid", "_now", "_previous", "_previous_kid", "_previous_until")

    def __init__(
        self,
        secret: str | bytes,
        *,
        previous: str | bytes | None = None,
        previous_until: datetime | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._current = _key(secret, "the secret")
        self._kid = key_id(self._current)
        self._previous = None if previous is None else _key(previous, "the previous secret")
        self._previous_kid = None if self._previous is None else key_id(self._previous)
        if previous_until is not None and previous_until.tzinfo is None:
            raise SecretError("the date until which the previous secret counts needs a time zone")
        self._previous_until = previous_until
        self._now = now or _utc_now

    def __repr__(self) -> str:
        return f"<TokenKeys kid={self._kid} previous={self._previous_kid}>"

    def issue(self, *, session_id: UUID, user_id: str, role: Role, expires_at: datetime) -> str:
        """A token for one participant (or the host) of one session. ``expires_at`` is aware.

        Fractions of a second are rounded up, so that a token never ends before its session.
        """
        return jwt.encode(
            {
                "iss": ISSUER,
                "aud": AUDIENCE,
                "sub": user_id,
                "session": str(session_id),
                "role": role,
                "iat": int(self._now().timestamp()),
                "exp": -int(-expires_at.timestamp() // 1),
                "jti": uuid4().hex,
            },
            self._current,
            algorithm=ALGORITHM,
            headers={"kid": self._kid},
        )

    def verify(self, token: str) -> Claims:
        """The claims of ``token``. Raises TokenExpired or TokenInvalid, nothing else."""
        # Raised here, outside the handler, so that no exception of the library, whose text may
        # quote the token, is chained to ours.
        claims = self._decode(token)
        if claims is None:
            raise TokenInvalid("the token is not accepted")
        if claims.expires_at.timestamp() + LEEWAY_S <= self._now().timestamp():
            raise TokenExpired("the token has expired")
        return claims

    def host_key(self, session_id: UUID) -> str:
        """What makes a host of whoever has it, in 22 characters that stand in a link's fragment.

        Made of the secret and the id, so that it is kept nowhere and needs no database.
        """
        return _host_key(self._current, session_id)

    def is_host_key(self, session_id: UUID, key: str) -> bool:
        """Whether ``key`` is the host key of the session, of this secret or of the previous one as
        long as that counts. Takes the same time whatever is wrong with it.
        """
        given = key.encode(errors="replace")
        found = hmac.compare_digest(given, _host_key(self._current, session_id).encode())
        previous = self._previous
        if previous is None or not self._previous_counts():
            return found
        return found | hmac.compare_digest(given, _host_key(previous, session_id).encode())

    def _previous_counts(self) -> bool:
        return self._previous_until is None or self._now() < self._previous_until

    def _decode(self, token: str) -> Claims | None:
        """The claims of a token of ours, expired or not. None for everything else."""
        if len(token) > MAX_TOKEN_CHARS or not token.isascii():
            return None
        try:
            payload = jwt.decode(
                token,
                self._key_for(jwt.get_unverified_header(token)),
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                # exp is compared by verify, with our clock; iat is for people: refusing a token
                # "from the future" would lock everyone out after the clock was set back.
                options={"require": _REQUIRED, "verify_iat": False, "verify_exp": False},
            )
            return _claims(payload)
        except (jwt.PyJWTError, ValueError, OverflowError, OSError, RecursionError):
            return None

    def _key_for(self, header: dict[str, Any]) -> bytes:
        kid = header.get("kid")
        if kid == self._kid:
            return self._current
        if self._previous is not None and kid == self._previous_kid and self._previous_counts():
            return self._previous
        raise ValueError("no such key")


def load_or_create_secret(path: Path) -> bytes:
    """The secret kept at ``path``; made there, with mode 600, when there is none yet.

    The file appears whole or not at all, and two processes that start at once get the same secret.
    Raises SecretError when the file may be read by others, is not ours, or is too short.
    """
    try:
        return _read_secret(path)
    except FileNotFoundError:
        pass
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_hex(MIN_SECRET_BYTES).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            # A link, not a rename: it fails when someone else was first, and theirs counts.
            try:
                os.link(temporary, path)
            except FileExistsError:
                pass
            else:
                _sync_directory(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
        return _read_secret(path)
    except OSError as error:
        raise SecretError(f"cannot keep a secret in {path}: {error.strerror}. {_WAY_OUT}") from None


def _read_secret(path: Path) -> bytes:
    try:
        # Non-blocking, so that a pipe in its place is refused and not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SecretError(
            f"cannot read the secret in {path}: {error.strerror}. {_WAY_OUT}"
        ) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise SecretError(f"{path} is not a regular file. {_WAY_OUT}")
        if status.st_mode & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            raise SecretError(
                f"{path} holds the signing secret and has mode {mode:03o}, so that others may "
                f"read or change it: run chmod 600 {path}, or remove it to get a new secret"
            )
        if status.st_uid not in (os.geteuid(), 0):
            raise SecretError(f"{path} belongs to another user (uid {status.st_uid}). {_WAY_OUT}")
        secret = os.read(descriptor, 4096).strip()
    finally:
        os.close(descriptor)
    if len(secret) < MIN_SECRET_BYTES:
        raise SecretError(
            f"{path} holds {len(secret)} bytes; a secret has at least {MIN_SECRET_BYTES}: "
            "remove the file to get a new secret"
        )
    return secret


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _host_key(secret: bytes, session_id: UUID) -> str:
    """128 bits of a MAC that serves nothing else."""
    digest = hmac.digest(secret, b"locshare host key\0" + session_id.bytes, "sha256")
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def _key(secret: str | bytes, what: str) -> bytes:
    key = secret.encode() if isinstance(secret, str) else secret
    if len(key) < MIN_SECRET_BYTES:
        raise SecretError(f"{what} has {len(key)} bytes; at least {MIN_SECRET_BYTES} are needed")
    return key


def _claims(payload: dict[str, Any]) -> Claims:
    """Raises ValueError, OverflowError or OSError when a claim has a wrong type or value."""
    user_id, session, expires = payload["sub"], payload["session"], payload["exp"]
    role = _ROLES.get(payload["role"]) if isinstance(payload["role"], str) else None
    if (
        not isinstance(user_id, str)
        or not user_id
        or not isinstance(session, str)
        or type(expires) is not int
        or role is None
    ):
        raise ValueError("claims of a wrong type")
    return Claims(
        user_id, UUID(session), role, datetime.fromtimestamp(expires, UTC), str(payload["jti"])
    )


def _utc_now() -> datetime:
    return datetime.now(UTC)
