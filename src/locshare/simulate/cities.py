"""Cities to move in: a centre, and a grid of streets that is like theirs. Pure.

The grid has the spacing and the direction of the real one near the centre, so that people look at
home on a map; that a street is where there is one is not promised.
"""

from typing import Final

from msgspec import Struct

from locshare.simulate.geo import Place


class City(Struct, frozen=True):
    """``angle`` is the bearing of one family of streets, ``along`` the metres between two crossings
    on it, ``across`` the metres on the other family.
    """

    title: str
    centre: Place
    angle: float
    along: float
    across: float


CITIES: Final = {
    "barcelona": City("Barcelona", Place(41.3920, 2.1650), 45.0, 133.0, 133.0),
    "berlin": City("Berlin", Place(52.4990, 13.4180), 62.0, 150.0, 110.0),
    "buenos-aires": City("Buenos Aires", Place(-34.6037, -58.3816), 0.0, 130.0, 130.0),
    "melbourne": City("Melbourne", Place(-37.8136, 144.9631), 70.0, 224.0, 112.0),
    "new-york": City("New York", Place(40.7549, -73.9840), 29.0, 80.0, 250.0),
    "tokyo": City("Tokyo", Place(35.6717, 139.7650), 40.0, 120.0, 70.0),
}
DEFAULT_CITY: Final = "barcelona"
