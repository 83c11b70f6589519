"""The keys that sign, their rotation, and what is derived from them besides tokens. Pure.

New signatures use the current key. The previous key is accepted until a date; after that it counts
for nothing.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from locshare.auth.secret_file import SecretError
from locshare.config.fields import MIN_SECRET_BYTES


def key_id(secret: bytes) -> str:
    """The ``kid`` of a key: 8 hex digits of a hash used for nothing else."""
    return hashlib.sha256(b"locshare key id\0" + secret).hexdigest()[:8]


def utc_now() -> datetime:
    return datetime.now(UTC)


class SigningKeys:
    """``previous_until`` must be aware; without it the previous key is accepted for ever.

    Raises SecretError when a secret is shorter than 32 bytes.
    """

    __slots__ = ("_now", "_previous", "_previous_kid", "_previous_until", "current", "kid")

    def __init__(
        self,
        secret: str | bytes,
        *,
        previous: str | bytes | None = None,
        previous_until: datetime | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.current = _key(secret, "the secret")
        self.kid = key_id(self.current)
        self._previous = None if previous is None else _key(previous, "the previous secret")
        self._previous_kid = None if self._previous is None else key_id(self._previous)
        if previous_until is not None and previous_until.tzinfo is None:
            raise SecretError("the date until which the previous secret counts needs a time zone")
        self._previous_until = previous_until
        self._now = now

    def __repr__(self) -> str:
        return f"<SigningKeys kid={self.kid} previous={self._previous_kid}>"

    def of(self, kid: object) -> bytes | None:
        """The key with this id, if it is accepted now."""
        if kid == self.kid:
            return self.current
        previous = self._accepted_previous()
        return previous if kid == self._previous_kid else None

    def accepted(self) -> tuple[bytes, ...]:
        """The keys that are accepted now, the current one first."""
        previous = self._accepted_previous()
        return (self.current,) if previous is None else (self.current, previous)

    def host_key(self, session_id: UUID) -> str:
        """The key that makes its owner a host: 22 characters, for the fragment of a link.

        Derived from the secret and the id, so that it is stored nowhere and needs no database.
        """
        return _host_key(self.current, session_id)

    def is_host_key(self, session_id: UUID, key: str) -> bool:
        """Whether ``key`` is the session's host key, of an accepted secret. Constant time."""
        given = key.encode(errors="replace")
        found = False
        for secret in self.accepted():
            found |= hmac.compare_digest(given, _host_key(secret, session_id).encode())
        return found

    def _accepted_previous(self) -> bytes | None:
        until = self._previous_until
        return self._previous if until is None or self._now() < until else None


def _host_key(secret: bytes, session_id: UUID) -> str:
    """128 bits of a MAC used for nothing else."""
    digest = hmac.digest(secret, b"locshare host key\0" + session_id.bytes, "sha256")
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def _key(secret: str | bytes, what: str) -> bytes:
    key = secret.encode() if isinstance(secret, str) else secret
    if len(key) < MIN_SECRET_BYTES:
        raise SecretError(f"{what} has {len(key)} bytes; at least {MIN_SECRET_BYTES} are needed")
    return key
