"""An event reaches its audience, whatever it says."""

import pytest

from locshare.broadcast.addressed import EVERYONE, Audience, EveryoneBut, Only, recipients

RECEIVERS = {"ada": 1, "bo": 2, "cy": 3}


@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        (EVERYONE, [1, 2, 3]),
        (EveryoneBut("bo"), [1, 3]),
        (EveryoneBut("nobody here"), [1, 2, 3]),
        (Only("bo"), [2]),
        (Only("nobody here"), []),
    ],
)
def test_an_audience_selects_receivers_in_their_order(
    audience: Audience, expected: list[int]
) -> None:
    assert recipients(audience, RECEIVERS) == expected


@pytest.mark.parametrize("audience", [EVERYONE, EveryoneBut("ada"), Only("ada")])
def test_without_receivers_no_audience_has_members(audience: Audience) -> None:
    assert recipients(audience, {}) == []
