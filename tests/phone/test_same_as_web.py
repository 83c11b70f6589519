"""The app and the web client say the same in the same words, and compute the same: one person may
use both, and a group does.

The web client's own code answers, in Node.js; nothing is copied here.
"""

import itertools
import json
import math
import random
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from locshare.client import Position
from phone.blur import blurred
from phone.i18n import CATALOGUES, Units, units_of, words_in
from phone.standing import directions_link, way
from phone.view import Place
from tests.node import NODE
from tests.running import LAST_RESORT_S

SCRIPT: Final = Path(__file__).with_name("same_as_web.mjs")
_random: Final = random.Random(17)  # noqa: S311 - cases
_spread = _random.uniform
PLACES: Final = [
    *([_spread(-89, 89), _spread(-180, 180), _spread(1, 2_000)] for _ in range(200)),
    [52.5163, 13.3777, 5.0], [0.0, 0.0, 5.0], [-0.001, -0.001, 5.0], [89.999, 179.999, 5.0],
]  # fmt: skip
CASES: Final[dict[str, Any]] = {
    "lengths": [*(_spread(0, 10**power) for power in range(1, 8) for _ in range(20)), 9.9, 994.9],
    "speeds": [_spread(0, 60) for _ in range(50)],
    "seconds": [
        *(_spread(0, 10**power) for power in range(1, 6) for _ in range(20)),
        -5,
        4.5,
        59.5,
        90,
        3_570,
        3_600,
        172_000,
    ],
    "bearings": [*(_spread(0, 360) for _ in range(50)), 0, 22.4, 337.6, 359.9],
    "locales": ["en-US", "en-GB", "en-us", "de-DE", "de", "my-MM", "fr-CA", "en-Latn-LR", "us"],
    "places": PLACES,
    "ways": [[one[:2], other[:2]] for one, other in itertools.pairwise(PLACES)],
    "systems": ["android", "ios", "other"],
}
DIFFERENT: Final = {
    "create.hours": "four of them stand in one line of a phone",
    "end.failed": "an app, and no page",
    "end.failed.text": "an app is brought up to date, a page loaded again",
    "end.replaced.text": "another device, and no other tab",
    "link.lost": "the app says it in one sentence",
    "link.lost.in": "the app says it in one sentence",
    "location.denied": "the app, and not the page, is allowed it",
    "map.label": "a phone has no arrow keys",
    "menu.new": "the app's home also takes a link",
    "problem.not_host": "in the app it is said of a host's means, in the page of a join",
    "settings.awake.hint": "the app goes on with the screen off",
}


@pytest.fixture(scope="module")
def web() -> dict[str, Any]:
    """What the web client answers to the cases."""
    done = subprocess.run(
        [NODE, "--experimental-strip-types", "--no-warnings", str(SCRIPT)],
        input=json.dumps(CASES), capture_output=True, text=True, check=True, timeout=LAST_RESORT_S,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("language", CATALOGUES)
def test_the_same_thing_has_the_same_words(language: str, web: dict[str, Any]) -> None:
    theirs, ours = web["texts"][language], CATALOGUES[language]
    shared = {*theirs} & {*ours}
    assert len(shared) > 140
    # The page forbids some blanks to break a line; Flutter's lines are short anyway.
    theirs = json.loads(json.dumps(theirs, ensure_ascii=False).replace("\xa0", " "))
    different = {key for key in shared if theirs[key] != ours[key]}
    assert different <= {*DIFFERENT}, {key: (ours[key], theirs[key]) for key in different}


def test_what_may_differ_does(web: dict[str, Any]) -> None:
    """Else the list of reasons grows old."""
    theirs = web["texts"]["en"]
    assert {key for key in DIFFERENT if theirs[key] == CATALOGUES["en"][key]} == set()


@pytest.mark.parametrize("language", CATALOGUES)
def test_lengths_speeds_times_and_directions_are_said_alike(
    language: str, web: dict[str, Any]
) -> None:
    words, theirs = words_in(language), web["formats"][language]
    for at, units in enumerate(get_args(Units)):
        ours = [words.distance(each, units) for each in CASES["lengths"]]
        assert ours == theirs["distances"][at]
        assert [words.speed(each, units) for each in CASES["speeds"]] == theirs["speeds"][at]
    assert [words.ago(each) for each in CASES["seconds"]] == theirs["ages"]
    assert [words.left(each) for each in CASES["seconds"]] == theirs["left"]
    assert [words.compass(each) for each in CASES["bearings"]] == theirs["compass"]


def test_a_region_has_the_same_units(web: dict[str, Any]) -> None:
    assert [units_of(each) for each in CASES["locales"]] == web["units"]


def test_who_shares_roughly_stands_at_the_same_point(web: dict[str, Any]) -> None:
    now = datetime.now(UTC)
    for (lat, lng, accuracy), theirs in zip(PLACES, web["blurred"], strict=True):
        found = blurred(Position(lat, lng, accuracy, now, 30.0, 3.0, 20.0, 80.0, 500.0))
        assert [found.lat, found.lng, found.accuracy, found.speed, found.heading] == theirs
        assert (found.altitude, found.battery, found.age_ms) == (None, 80.0, 500.0)


def test_the_way_to_somebody_is_the_same(web: dict[str, Any]) -> None:
    for ((lat, lng), (to_lat, to_lng)), (metres, bearing) in zip(
        CASES["ways"], web["ways"], strict=True
    ):
        found = way(Place(lat, lng, 0), Place(to_lat, to_lng, 0))
        assert math.isclose(found.metres, metres, rel_tol=1e-9)
        assert math.isclose(found.bearing, bearing, abs_tol=1e-6)
    place = Place(52.5, -13.25, 0)
    links = [directions_link(place, "Ada & Söhne (2)", each) for each in CASES["systems"]]
    assert links == web["directions"]
