"""A session whose server is out of reach, for as long as it takes."""

import pytest
import trio
from trio.testing import MockClock as Clock

from phone.backend import Backend
from phone.participation import CHECK_S, FIRST_S, GRACE_S, Participation
from phone.settings import Membership

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app's clock is Trio's."""
    monkeypatch.setattr("phone.participation.now", trio.current_time)


def member(expires_at: float) -> Membership:
    backend = Backend(NOWHERE)
    link = f"{NOWHERE}/join/s"
    return Membership("s", "Alps", backend, link, "me", "t", "ws://127.0.0.1:1/ws", expires_at)


async def test_a_session_whose_time_is_up_ends_without_a_word_of_its_server(
    autojump_clock: Clock,
) -> None:
    began = trio.current_time()
    end = await Participation(member(began + 3600), lambda: None).run()
    assert end.title == "end.ended"
    assert 0 <= trio.current_time() - began - 3600 - GRACE_S <= CHECK_S


async def test_a_wrong_clock_does_not_end_a_session_before_it_was_tried(
    autojump_clock: Clock,
) -> None:
    """It was joined a moment ago, and its end is of yesterday."""
    began = trio.current_time()
    await Participation(member(began - 86_400), lambda: None).run()
    assert 0 <= trio.current_time() - began - FIRST_S <= CHECK_S


async def test_leaving_says_whether_the_server_has_heard_it() -> None:
    assert not await Participation(member(0), lambda: None).leave()
