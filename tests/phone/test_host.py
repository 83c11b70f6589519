"""What a host may do."""

import asyncio
from pathlib import Path

from tests.phone.kit import on_the_phone, phone
from tests.phone.people import (
    APP,
    called,
    create,
    friend,
)

pytestmark = APP


@on_the_phone
async def test_a_host_locks_passes_the_role_on_removes_and_ends(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        link = await create(one)
        async with friend(one, link, "Grace") as grace, friend(one, link, "Mallory") as mallory:
            await one.shows("3 people")
            await one.press("menu")
            await one.press("lock")
            await one.until(lambda: "locked" in " ".join(one.texts), "locked")
            await one.until(lambda: grace.live.replica and grace.live.replica.session.locked)
            await one.press("menu")
            assert one.has("As the host")
            assert not one.has("Step down as host"), "there is no other one"
            await one.press("close")
            await one.press(f"row-{grace.user_id}")
            await one.press("make_host")
            await one.until(lambda: grace.sees("Grace").role == "host", "a host")
            await one.press(f"row-{mallory.user_id}")
            await one.press("remove")
            assert one.by_key("ban").label == "Keep them out"
            assert one.by_key("ban").value, "as in the page"
            await one.press("yes")
            await one.shows("2 people")
            await one.press("menu")
            await one.press("new_link")
            await one.press("yes")
            await one.until(lambda: one.state.notice == "The host has made a new link")
            await one.press("invite")
            await one.press("share")
            await one.until(lambda: called(one, "share_text") or called(one, "set"), "shared")
            await one.press("menu")
            await one.press("step_down")
            await one.press("yes")
            await one.until(lambda: not one.state.group.is_host, "no host")
            await one.press("menu")
            assert not one.has("As the host")


@on_the_phone
async def test_a_host_ends_the_session_for_everyone(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server) as one:
        link = await create(one)
        async with friend(one, link, "Grace") as grace:
            await one.press("menu")
            await one.press("end")
            await one.press("yes")
            await one.shows("This session has ended")
            await asyncio.wait([grace.task])
