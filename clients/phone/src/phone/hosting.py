"""What a host may do with a session. Who was made a host does it with their own token."""

from collections.abc import Awaitable, Callable
from typing import Any, final

from msgspec import structs

from locshare.client.rest import Client
from phone.api import Api
from phone.calls import Calls
from phone.participation import Participation
from phone.settings import Membership
from phone.state import AppState


@final
class Hosting:
    """``active`` is the session on the screen; ``keep`` remembers a membership."""

    def __init__(
        self,
        state: AppState,
        calls: Calls,
        active: Callable[[], Participation | None],
        keep: Callable[[Membership], None],
    ) -> None:
        self._state = state
        self._calls = calls
        self._active = active
        self._keep = keep

    async def lock(self, *, locked: bool) -> None:
        """Lock the session, or unlock it."""

        async def ask(client: Client, mine: Membership, token: str) -> None:
            await client.lock(mine.session_id, token, locked=locked)

        await self._as_host(ask)

    async def replace_link(self) -> None:
        """Make another link; nobody joins by the one that is out."""

        async def ask(client: Client, mine: Membership, token: str) -> None:
            await client.replace_link(mine.session_id, token)

        await self._as_host(ask)

    async def end_session(self) -> None:
        """End the session for everyone."""

        async def ask(api: Api, mine: Membership, token: str) -> None:
            await api.end(mine.session_id, token)

        await self._as_host(ask)

    async def remove(self, *, ban: bool) -> None:
        """Remove the selected participant."""
        user_id = self._state.selected

        async def ask(api: Api, mine: Membership, token: str) -> None:
            await api.remove(mine.session_id, user_id, token, ban=ban)

        await self._as_host(ask)

    async def make_host(self) -> None:
        """Give the selected participant the host's role too."""
        user_id = self._state.selected

        async def ask(client: Client, mine: Membership, token: str) -> None:
            await client.set_role(mine.session_id, user_id, token, "host")

        await self._as_host(ask)

    async def step_down(self) -> None:
        """Give the role up."""

        async def ask(client: Client, mine: Membership, _: str) -> None:
            await client.set_role(mine.session_id, mine.user_id, mine.token, "participant")

        found = await self._as_host(ask)
        if found is not None:
            self._keep(structs.replace(found.membership, host_token="", host_key=""))

    async def _as_host(
        self, ask: Callable[[Any, Membership, str], Awaitable[None]]
    ) -> Participation | None:
        """The session in which it was done, which may be on the screen no more; None if it was
        refused.
        """
        found = self._active()
        if found is None:
            return None
        mine = found.membership
        token = mine.host_token or mine.token

        async def call(api: Api) -> bool:
            await ask(api, mine, token)
            return True

        if not await self._calls.ask(mine.backend, call, ends=False):
            return None
        self._state.sheet = ""
        return found
