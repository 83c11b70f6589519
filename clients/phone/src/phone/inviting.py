"""How others are brought into the session on the screen: its link, passed on, copied, or as a QR
code.
"""

from collections.abc import Callable
from typing import final

from phone.devices import Devices
from phone.fetch import fetch_link_code
from phone.participation import Participation
from phone.state import AppState
from phone.trio_guest import TrioGuest


@final
class Inviting:
    """``active`` is the session on the screen, ``devices`` those of the page."""

    def __init__(
        self,
        state: AppState,
        guest: TrioGuest,
        active: Callable[[], Participation | None],
        devices: Callable[[], Devices | None],
        notify: Callable[[str], None],
    ) -> None:
        self._state = state
        self._guest = guest
        self._active = active
        self._devices = devices
        self._notify = notify

    @property
    def link(self) -> str:
        """What to pass on."""
        found = self._active()
        return found.join_link if found is not None else ""

    @property
    def host_link(self) -> str:
        """Of this person alone; empty for whoever has none."""
        found = self._active()
        return found.host_link if found is not None else ""

    @property
    def can_share(self) -> bool:
        """Whether the system has a sheet for sharing."""
        devices = self._devices()
        return devices is not None and devices.is_phone

    async def open(self) -> None:
        """Show the sheet, and the code when the server has sent it."""
        found, state = self._active(), self._state
        if found is None:
            return
        state.qr, state.problem, state.sheet = "", "", "invite"
        mine = found.membership
        if mine.backend.dialect != "locshare":
            return  # no such address there
        link = found.join_link
        code = await self._guest.run(
            fetch_link_code, mine.backend.url, mine.session_id, found.link_key
        )
        if state.sheet == "invite" and self.link == link:  # else it is another one by now
            state.qr = code

    async def share(self) -> None:
        """Pass the link on with the system's sheet, else copy it."""
        found, devices = self._active(), self._devices()
        if found is None or devices is None:
            return
        if not await devices.share(found.join_link, found.feed.name):
            await self.copy(found.join_link)

    async def copy(self, link: str) -> None:
        """Into the clipboard."""
        devices = self._devices()
        if devices is not None:
            await devices.copy(link)
            self._notify(self._state.words("notice.copied"))
