"""Actors without a supervisor."""

from typing import Any

import pytest

from locshare.actors import Actor, AlreadyRegistered, MailboxHeir, Registry, open_host
from locshare.actors.mailbox import CAST


class Idle(Actor):
    def handle_cast(self, message: Any) -> None:
        """Nothing to do."""


async def test_a_start_under_a_name_that_is_taken_leaves_the_heir_what_it_had() -> None:
    names: Registry[str] = Registry()
    heir = MailboxHeir()
    async with open_host() as host:
        await host.start(Idle(), register=names.name("a"))
        heir.entries.append((CAST, "waits for the next life"))
        with pytest.raises(AlreadyRegistered):
            await host.start(Idle(), register=names.name("a"), heir=heir)
        assert list(heir.entries) == [(CAST, "waits for the next life")]
        await host.start(Idle(), register=names.name("b"), heir=heir)
        assert not heir.entries
