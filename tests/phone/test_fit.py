"""Where the camera goes."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from phone.fit import INSETS, MAX_ZOOM, Point, fit, group_of

places = st.builds(Point, st.floats(-80, 80), st.floats(-180, 180))


@example([Point(0, 0), Point(0, 180), Point(0, -1), Point(0, -169)], 1113.0, 560.0)
@given(st.lists(places, min_size=1, max_size=8), st.floats(320, 1200), st.floats(560, 1400))
def test_everybody_is_within_what_nothing_covers(
    points: list[Point], width: float, height: float
) -> None:

    def pixels(lat: float, lng: float, zoom: float) -> tuple[float, float]:
        scale = 256 * 2**zoom / (2 * math.pi)
        return math.radians(lng) * scale, -math.log(
            math.tan(math.pi / 4 + math.radians(lat) / 2)
        ) * scale

    camera = fit(points, width, height)
    if camera.zoom <= 2.0:
        return  # the world, or more than it
    around = 256 * 2**camera.zoom
    middle = pixels(camera.lat, camera.lng, camera.zoom)
    for point in points:
        x, y = pixels(point.lat, point.lng, camera.zoom)
        x = (x - middle[0] + around / 2) % around - around / 2
        assert INSETS.left - 1 <= x + width / 2 <= width - INSETS.right + 1
        assert INSETS.top - 1 <= y - middle[1] + height / 2 <= height - INSETS.bottom + 1


def test_one_person_is_shown_from_near() -> None:
    assert fit([Point(52.5, 13.4)], 393, 851).zoom == MAX_ZOOM
    with pytest.raises(ValueError, match="nobody"):
        fit([], 393, 851)


def test_a_group_on_the_date_line_is_shown_across_it() -> None:
    camera = fit([Point(0, 179.9), Point(0, -179.9)], 393, 851)
    assert abs(abs(camera.lng) - 180) < 0.2
    assert camera.zoom > 8


def test_a_group_around_the_world_is_shown_from_the_side_of_its_widest_gap() -> None:
    camera = fit([Point(0, 0), Point(0, 180), Point(0, -1), Point(0, -169)], 1113, 560)
    assert abs(camera.lng - -90) < 10


def test_who_is_far_away_does_not_make_the_group_a_dot() -> None:
    near = [Point(52.5, 13.4), Point(52.501, 13.401), Point(52.502, 13.4)]
    assert group_of([*near, Point(-33.9, 151.2)]) == near
    assert group_of([near[0], Point(-33.9, 151.2)]) == [near[0], Point(-33.9, 151.2)]
