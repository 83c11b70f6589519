"""Tokens: who may speak as whom, in which session, until when.

A token is a JWT signed with HS256 and nothing else; the header's ``kid`` picks the key, never the
algorithm. It lives exactly as long as its session (``exp`` is the session's end), so an expired
token means that the session is over. Checking one needs no lookup, so tokens stay valid over
restarts of the server; what the store says about the participant is checked elsewhere.

Promises: no error text, no repr and no log line holds a token or a key. Nothing here awaits.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

import jwt
from msgspec import Struct

from locshare.auth import report_codes
from locshare.auth.report_codes import ReportCode
from locshare.auth.signing_keys import SigningKeys, utc_now
from locshare.model.errors import LocshareError
from locshare.model.participant import Role

ALGORITHM: Final = "HS256"
ISSUER: Final = "locshare"
AUDIENCE: Final = "locshare"
RECEIPTS: Final = "locshare-receipt"
"""The audience of receipts, so that none is ever taken for a token."""
MAX_TOKEN_CHARS: Final = 2048
"""Ours have about 400; nothing longer is worth a base64 decoding."""
LEEWAY_S: Final = 5
"""How long after its expiry a token is still accepted: clocks of several servers may differ."""

_REQUIRED = ["iss", "aud", "sub", "session", "role", "iat", "exp", "jti"]
_ROLES: dict[object, Role] = {"participant": "participant", "host": "host"}


class TokenInvalid(LocshareError):
    """Not a token of ours: malformed, forged, of another key, or with claims that make no sense."""


class TokenExpired(LocshareError):
    """A token of ours whose session has come to its end."""


class Claims(Struct, frozen=True):
    """What a valid token says. ``expires_at`` is aware, in UTC."""

    user_id: str
    session_id: UUID
    role: Role
    expires_at: datetime
    token_id: str


class TokenKeys:
    """Issues and verifies tokens, and host keys, with the keys of :class:`SigningKeys`, whose
    arguments it takes.
    """

    __slots__ = ("_keys", "_now")

    def __init__(
        self,
        secret: str | bytes,
        *,
        previous: str | bytes | None = None,
        previous_until: datetime | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._now = now
        self._keys = SigningKeys(secret, previous=previous, previous_until=previous_until, now=now)

    def __repr__(self) -> str:
        return f"<TokenKeys {self._keys!r}>"

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
            self._keys.current,
            algorithm=ALGORITHM,
            headers={"kid": self._keys.kid},
        )

    def verify(self, token: str) -> Claims:
        """The claims of ``token``. Raises TokenExpired or TokenInvalid, nothing else."""
        # Raised here, outside the handler: chained to ours, the library's exception would quote the
        # token.
        claims = self._decode(token)
        if claims is None:
            raise TokenInvalid("the token is not accepted")
        if claims.expires_at.timestamp() + LEEWAY_S <= self._now().timestamp():
            raise TokenExpired("the token has expired")
        return claims

    def verify_past(self, token: str) -> Claims:
        """The claims of ``token``, expired or not: for what is about a session that is over. Raises
        TokenInvalid.
        """
        claims = self._decode(token)
        if claims is None:
            raise TokenInvalid("the token is not accepted")
        return claims

    def sign_receipt(self, facts: Mapping[str, Any]) -> str:
        """A receipt that says ``facts``. No token: its audience is another."""
        return jwt.encode(
            {"iss": ISSUER, "aud": RECEIPTS, "iat": int(self._now().timestamp()), **facts},
            self._keys.current,
            algorithm=ALGORITHM,
            headers={"kid": self._keys.kid},
        )

    def read_receipt(self, receipt: str) -> dict[str, Any]:
        """What a receipt of ours says. Raises TokenInvalid."""
        found = self._payload(receipt, RECEIPTS, [])
        if found is None:
            raise TokenInvalid("this is no receipt that this server signed")
        return found

    def host_key(self, session_id: UUID) -> str:
        """As :meth:`SigningKeys.host_key`."""
        return self._keys.host_key(session_id)

    def is_host_key(self, session_id: UUID, key: str) -> bool:
        """As :meth:`SigningKeys.is_host_key`."""
        return self._keys.is_host_key(session_id, key)

    def report_code(self, participant_id: UUID) -> str:
        """As :func:`locshare.auth.report_codes.report_code`."""
        return report_codes.report_code(self._keys, participant_id)

    def is_report_code(self, code: ReportCode, participant_id: UUID) -> bool:
        """As :func:`locshare.auth.report_codes.is_code_of`."""
        return report_codes.is_code_of(self._keys, code, participant_id)

    def _decode(self, token: str) -> Claims | None:
        """The claims of a token of ours, expired or not. None for everything else."""
        payload = self._payload(token, AUDIENCE, _REQUIRED)
        try:
            return None if payload is None else _claims(payload)
        except (ValueError, OverflowError, OSError):
            return None

    def _payload(self, token: str, audience: str, required: list[str]) -> dict[str, Any] | None:
        """What a JWT of ours for ``audience`` says, expired or not. None for everything else."""
        if len(token) > MAX_TOKEN_CHARS or not token.isascii():
            return None
        try:
            key = self._keys.of(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                return None
            payload: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=audience,
                issuer=ISSUER,
                # exp is compared by verify, with our clock; iat is for people: refusing a token
                # "from the future" would lock everyone out after the clock was set back.
                options={"require": required, "verify_iat": False, "verify_exp": False},
            )
        except (jwt.PyJWTError, ValueError, OverflowError, OSError, RecursionError):
            return None
        return payload


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
