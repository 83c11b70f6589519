"""What the statistics of all sessions count."""

import pytest
import trio
from msgspec import structs

from locshare.actors.introspect import resume, suspend
from locshare.actors.testing import settle
from tests.session.kit import HOUR, START, house, position


async def test_figures_are_of_what_is_in_memory_now() -> None:
    async with house() as home:
        _, (ada, _bo) = await home.group("Ada", "Bo")
        await ada.link.update(position())
        ada.link.detach()
        await settle()
        now = home.manager.statistics()
        assert (now.live, now.participants, now.online) == (1, 2, 1)
        assert (now.created, now.loaded, now.joined, now.attached) == (1, 1, 2, 2)
        assert (now.updates, now.flushes) == (1, 1)


async def test_the_time_of_a_position_is_counted_from_its_receipt_until_it_is_written() -> None:
    async with house() as home:
        _, (ada, _bo) = await home.group("Ada", "Bo")
        await trio.sleep(1)
        received = trio.current_time()
        await trio.sleep(0.3)
        await ada.link.update(position(), received)
        await settle()
        now = home.manager.statistics()
        assert sum(now.routing.counts) == sum(now.delivery.counts) == 1
        assert now.routing.total == pytest.approx(0.3, abs=0.001)
        assert now.routing.total <= now.delivery.total


async def test_a_position_that_is_ignored_does_not_make_the_next_one_late() -> None:
    async with house() as home:
        _, (ada, _bo) = await home.group("Ada", "Bo")
        await ada.link.update(position(), trio.current_time())
        await settle()
        older = structs.replace(position(), timestamp=START - HOUR)
        await ada.link.update(older, trio.current_time())
        await trio.sleep(20)
        await ada.link.update(position(2), trio.current_time())
        await settle()
        assert home.manager.statistics().delivery.total < 1


async def test_who_comes_back_is_counted_as_reconnected() -> None:
    async with house() as home:
        session, (ada, _bo) = await home.group("Ada", "Bo")
        ada.link.detach()
        await settle()
        await home.connect(session, ada.user_id, "unknown.0")
        now = home.manager.statistics()
        assert (now.attached, now.reconnected) == (3, 1)
        assert now.resumes == {"complete": 0, "too_late": 1}


async def test_the_mailboxes_and_tables_of_all_sessions_are_counted() -> None:
    async with house() as home:
        session, (ada, _bo) = await home.group("Ada", "Bo")
        before = home.manager.statistics()
        assert (before.mailboxes.actors, before.mailboxes.messages) == (1, 0)
        suspended = home.actor(session)
        await suspend(suspended)
        for lat in range(3):
            await ada.link.update(position(lat))
        now = home.manager.statistics()
        assert (now.mailboxes.messages, now.mailboxes.fullest) == (3, 3)
        await resume(suspended)
        await settle()
        after = home.manager.statistics()
        assert after.positions == 1
        assert after.table_bytes > before.table_bytes
