"""How somebody stands, in words: the rules of the web client's list and sheets."""

from typing import Any

import pytest

from phone.i18n import words_in
from phone.standing import Sharing, Standing, my_standing_text, standing, standing_text
from phone.view import Person, Place

NOW = 10_000.0
WORDS = words_in("en")
SHARING = Sharing("granted", paused=False, watching=False, searching=False, blurred=False)


def person(age_s: float | None = None, **more: Any) -> Person:
    place = None if age_s is None else Place(52.5, 13.4, NOW - age_s)
    values = {"online": True, "last_seen": NOW - 240, "place": place, **more}
    return Person("1", "Alan", "#1D4ED8", **values)


@pytest.mark.parametrize(
    ("each", "is_live", "found"),
    [
        (person(3), True, Standing("live", 3)),
        (person(3), False, Standing("here", 3)),
        (person(29), True, Standing("live", 29)),
        (person(30), True, Standing("here", 30)),
        (person(), True, Standing("no_position")),
        (person(3, state="paused"), True, Standing("paused", 3)),
        (person(3, state="hidden"), True, Standing("live", 3)),
        (person(70, state="hidden"), True, Standing("hidden", 70)),
        (person(3, online=False), True, Standing("offline", 240)),
        (person(-5), True, Standing("live", 0)),
    ],
)
def test_what_is_known_of_somebody(each: Person, is_live: bool, found: Standing) -> None:
    assert standing(each, NOW, is_live=is_live) == found


@pytest.mark.parametrize(
    ("each", "far", "text"),
    [
        (person(3), "", "live"),
        (person(3), "320 m", "live"),
        (person(240), "", "was here 4 min ago"),
        (person(240), "320 m", "last seen 4 min ago, 320 m from here"),
        (person(240, online=False), "", "offline · last seen 4 min ago"),
        (person(300, online=False), "320 m", "offline · last seen 5 min ago, 320 m from here"),
        (person(70, state="paused"), "", "paused · was here 1 min ago"),
        (person(state="paused"), "", "paused"),
        (person(), "", "no position"),
    ],
)
def test_it_is_said_with_age_and_distance(each: Person, far: str, text: str) -> None:
    assert standing_text(each, NOW, WORDS, is_live=True, far=far) == text


@pytest.mark.parametrize(
    ("change", "age_s", "text"),
    [
        ({}, 3, "sharing your position"),
        ({"blurred": True}, 3, "sharing roughly where you are"),
        ({"paused": True}, 3, "paused: nobody sees where you are"),
        ({"cut": True}, 3, "not connected: nobody gets your position"),
        ({"cut": True, "paused": True}, 3, "paused: nobody sees where you are"),
        ({"watching": True}, 3, "only watching"),
        ({"permission": "denied"}, 3, "only watching"),
        ({}, None, "looking for your position …"),
        ({"searching": True}, 90, "looking for your position …"),
        ({}, 90, "your position is from 2 min ago"),
    ],
)
def test_what_is_said_of_oneself(change: Any, age_s: float | None, text: str) -> None:
    me = person(age_s, is_me=True)
    assert my_standing_text(me, NOW, WORDS, SHARING._replace(**change)) == text
