"""The invitation: the link that lets people in now, as a QR code, passed on, and copied."""

from pathlib import Path

from locshare.api.qr import draw
from locshare.client import parse_join_link
from tests.phone.kit import Phone, on_the_phone, phone
from tests.phone.people import APP, create, made

pytestmark = APP


def copied(one: Phone) -> list[str]:
    """What was put into the clipboard, the newest last."""
    return [str(next(iter(given.values()))) for name, given in one.calls if name == "set"]


async def coded(one: Phone) -> str:
    """The link that the shown code is of: the server's own drawing of it."""
    await one.press("invite")
    await one.until(lambda: one.state.qr, "the code")
    link: str = one.app.controller.inviting.link
    assert one.state.qr.encode() == draw(link)
    assert one.has(link)
    return link


@on_the_phone
async def test_the_code_is_of_the_link_that_lets_people_in_now(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server) as one:
        first = await create(one)
        assert await coded(one) == first
        await one.press("close")
        await one.press("menu")
        await one.press("new_link")
        await one.press("yes")
        await one.until(lambda: one.app.controller.inviting.link != first, "another link")
        second = await coded(one)
        assert parse_join_link(second).link_key
        assert parse_join_link(second).session_id == parse_join_link(first).session_id


@on_the_phone
async def test_the_link_goes_to_the_systems_sheet_or_the_clipboard(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        link = await create(one)
        await one.press("invite")
        await one.press("share")
        await one.until(lambda: [each for name, each in one.calls if name == "share_text"])
        [shared] = [each for name, each in one.calls if name == "share_text"]
        assert shared["text"] == link
        assert not copied(one)
        await one.press("copy")
        await one.until(lambda: one.state.notice == "Link copied", "said")
        assert copied(one) == [link]


@on_the_phone
async def test_with_the_hosts_link_the_same_person_is_the_host_on_another_phone(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path / "one", server) as one:
        await create(one)
        await one.press("invite")
        await one.press("copy_host")
        await one.until(lambda: copied(one), "the host's link in the clipboard")
        [link] = copied(one)
        assert parse_join_link(link).host_key
    async with phone(tmp_path / "other", server, route=link) as other:
        await other.shows("You are the host.")


@on_the_phone
async def test_who_is_in_the_session_already_becomes_its_host_and_no_second_person(
    server: str, tmp_path: Path
) -> None:
    session = made(server)
    async with phone(tmp_path, server, route=session["join_link"]) as one:
        await one.type("name", "Grace")
        await one.press("join")
        await one.shows("1 person")
        await one.app.controller.entrance.open_link(session["join_link"] + "#host=wrong")
        assert one.state.problem
        assert not one.state.group.is_host
        await one.app.controller.entrance.open_link(session["host_url"])
        await one.until(lambda: one.state.group.is_host, "the host")
        assert len(one.state.group.people) == 1
        await one.press("invite")
        await one.shows("For you alone")


@on_the_phone
async def test_who_is_no_host_has_no_hosts_link(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server, route=made(server)["join_link"]) as one:
        await one.type("name", "Grace")
        await one.press("join")
        await one.shows("1 person")
        await one.press("invite")
        assert one.has("Whoever has the link can join.")
        assert not one.has("For you alone")
