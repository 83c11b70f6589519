"""By what a report says whose it is: a token, or a report code (:mod:`locshare.auth.report_codes`).

A code is looked up once and remembered. Only look-ups count against the limits of guessing, so a
phone that reports is not held up by somebody who guesses, but for its first report after a restart.
A look-up costs a query by primary key. Kept in memory only, and bounded.
"""

from collections import OrderedDict
from typing import Final, Protocol, final
from uuid import UUID

import trio

from locshare.api.limits import ApiLimits
from locshare.auth import report_codes
from locshare.auth.report_codes import ReportCode
from locshare.auth.tokens import Claims, TokenInvalid
from locshare.http.problems import HttpProblem, ProblemCode
from locshare.model.rate import KeyedRateLimiter
from locshare.store.port import FoundParticipant

_EVERYBODY: Final = ""


class CodePort(Protocol):
    """The part of :class:`locshare.session.manager.SessionManager` that codes need."""

    async def find_participants(self, first: UUID, last: UUID) -> tuple[FoundParticipant, ...]:
        """Participants by the ids of their rows. Raises StoreUnavailable."""
        ...


class VerifierPort(Protocol):
    """The part of :class:`locshare.auth.tokens.TokenKeys` that reports need."""

    def verify(self, token: str) -> Claims:
        """Raises TokenInvalid or TokenExpired."""
        ...

    def is_report_code(self, code: ReportCode, participant_id: UUID) -> bool:
        """Whether ``code`` is that of this participant."""
        ...


@final
class ReportCredentials:
    """``limits.code`` and ``limits.code_per_address`` bound the look-ups."""

    def __init__(self, sessions: CodePort, tokens: VerifierPort, limits: ApiLimits) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._size = limits.reporters
        self._of_address = KeyedRateLimiter(limits.code_per_address, limits.addresses)
        self._of_everybody = KeyedRateLimiter(limits.code, 1)
        self._known: OrderedDict[tuple[UUID, int], Claims] = OrderedDict()

    async def claims(self, credential: str, address: str) -> Claims:
        """Whose ``credential`` it is; whether they are still in the session is decided there.
        ``address`` is the client's.

        Raises TokenInvalid, TokenExpired, StoreUnavailable; HttpProblem after too many look-ups.
        """
        code = report_codes.parse(credential)
        if code is None:
            return self._tokens.verify(credential)
        key = code.first, code.mac
        claims = self._known.get(key)
        # Asked again each time: the secret may be one that is not accepted any more.
        if claims is None or not self._tokens.is_report_code(code, UUID(claims.token_id)):
            # Before the look-up, so that guesses in parallel count. The address first: one that
            # guesses too much takes nothing from the others.
            self._take(self._of_address, address)
            self._take(self._of_everybody, _EVERYBODY)
            claims = await self._look_up(code)
            self._known[key] = claims
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return claims

    def _take(self, limiter: KeyedRateLimiter, key: str) -> None:
        wait = limiter.take(key, trio.current_time())
        if wait > 0:
            raise HttpProblem(
                ProblemCode.RATE_LIMITED, "too many report codes", retry_after=int(wait) + 1
            )

    async def _look_up(self, code: ReportCode) -> Claims:
        for found in await self._sessions.find_participants(code.first, code.last):
            if self._tokens.is_report_code(code, found.id):
                return Claims(
                    found.user_id, found.session_id, found.role, found.expires_at, str(found.id)
                )
        raise TokenInvalid("the report code is not accepted")
