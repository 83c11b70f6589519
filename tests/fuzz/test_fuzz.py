"""Every dialect, every report and every route of the real server, with input of every kind: `make
fuzz` does the same for an hour.
"""

from collections.abc import Iterator

import pytest

from tests.fuzz.health import Health
from tests.fuzz.properties import KINDS, fuzz
from tests.fuzz.world import World, a_world

pytestmark = pytest.mark.e2e

EXAMPLES = 40
SPARE = 5
"""Threads that wait for work, and connections to the database, come and go."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_world() as found:
        yield found


@pytest.mark.parametrize("kind", KINDS)
def test_no_input_of_this_kind_is_a_failure_or_leaves_anything_behind(
    world: World, kind: str
) -> None:
    health = Health(world)
    fuzz(world, kind, EXAMPLES // 6, 0)
    world.close()
    world.spoil()
    before = health.idle()
    fuzz(world, kind, EXAMPLES, 1)
    world.close()
    world.spoil()
    after = health.idle()
    assert after.threads <= before.threads + SPARE
    assert after.files <= before.files + SPARE
    assert after.actors == before.actors
