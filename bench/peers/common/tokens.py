"""Tokens: JWTs that identify a participant of a session, valid until the session ends."""

from typing import get_args

import jwt
from msgspec import Struct

from bench.peers.common.model import Role, Session
from bench.peers.common.problems import Problem

ALGORITHM = "HS256"


class Claims(Struct, frozen=True):
    """What a token says."""

    user_id: str
    session_id: str
    role: Role


class Tokens:
    """Signs and checks."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def issue(self, session: Session, user_id: str, role: Role) -> str:
        """A token for one participant, or the host, of one session."""
        payload = {
            "sub": user_id,
            "session": session.id,
            "role": role,
            "exp": -int(-session.expires_at.timestamp() // 1),  # rounded up
        }
        return jwt.encode(payload, self._secret, algorithm=ALGORITHM)

    def verify(self, token: str) -> Claims:
        """Raises Problem TOKEN_INVALID or SESSION_ENDED."""
        try:
            payload = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                options={"require": ["sub", "session", "role", "exp"]},
            )
        except jwt.ExpiredSignatureError:
            raise Problem("SESSION_ENDED", "the token has expired with its session") from None
        except jwt.PyJWTError:
            raise Problem("TOKEN_INVALID", "the token is not accepted") from None
        if payload["role"] not in get_args(Role):
            raise Problem("TOKEN_INVALID", "the token is not accepted")
        return Claims(payload["sub"], payload["session"], payload["role"])
