"""Calls of a server, with what a person reads when they do not work."""

import math
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, final

from locshare.client import ApiProblem, ClientError
from phone.api import Api, api_of
from phone.backend import Backend
from phone.state import AppState
from phone.trio_guest import TrioGuest
from phone.view import End, one_line

T = TypeVar("T")
RETRY_S: Final = 5
"""What is said where a server does not say when to try again."""
MOST_WAIT_S: Final = 3600


@final
class Calls:
    """``over`` shows that a session is over."""

    def __init__(self, state: AppState, guest: TrioGuest, over: Callable[[End], None]) -> None:
        self._state = state
        self._guest = guest
        self._over = over

    async def ask(
        self, backend: Backend, ask: Callable[[Api], Awaitable[T]], *, ends: bool = True
    ) -> T | None:
        """What the server answers; None when it refuses, which the state then says. ``ends``: a
        session that is over is shown as such. Cancellation abandons the call.
        """

        async def call() -> T:
            async with api_of(backend) as api:
                return await ask(api)

        state = self._state
        state.busy, state.problem = True, ""
        try:
            return await self._guest.run(call)
        except ApiProblem as error:
            if ends and error.status in (404, 410):
                kind = "unknown" if error.status == 404 else "ended"
                self._over(End("", f"end.{kind}", f"end.{kind}.text"))
            else:
                key = _PROBLEMS.get(error.code) or _PROBLEMS.get(str(error.status), "problem.other")
                wait_s = math.ceil(min(error.retry_after or RETRY_S, MOST_WAIT_S))
                state.problem = state.words(key, detail=one_line(error.detail, 200), n=wait_s)
        except ClientError:
            state.problem = state.words("problem.no_answer")
        finally:
            state.busy = False
        return None


_PROBLEMS: Final = {
    "SESSION_LOCKED": "problem.locked",
    "SESSION_FULL": "problem.full",
    "BANNED": "problem.banned",
    "RATE_LIMITED": "problem.wait",
    "429": "problem.wait",
    "503": "problem.busy",
    "FORBIDDEN": "problem.not_host",
    "LINK_REPLACED": "problem.old_link",
}
