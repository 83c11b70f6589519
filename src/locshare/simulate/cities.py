"""Cities: a centre and a grid of streets. Pure.

The grid has about the spacing and direction of the city's own, or blocks of its usual size where
the city has no grid. It makes movement look plausible on a map, but does not follow real streets.
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
    "auckland": City("Auckland", Place(-36.8545, 174.7640), 12.0, 140.0, 100.0),
    "bangkok": City("Bangkok", Place(13.7460, 100.5340), 5.0, 180.0, 120.0),
    "barcelona": City("Barcelona", Place(41.3920, 2.1650), 45.0, 133.0, 133.0),
    "beijing": City("Beijing", Place(39.9300, 116.4200), 0.0, 200.0, 150.0),
    "berlin": City("Berlin", Place(52.4990, 13.4180), 62.0, 150.0, 110.0),
    "bogota": City("Bogotá", Place(4.6110, -74.0730), 28.0, 105.0, 105.0),
    "buenos-aires": City("Buenos Aires", Place(-34.6037, -58.3816), 0.0, 130.0, 130.0),
    "cairo": City("Cairo", Place(30.0500, 31.2430), 30.0, 140.0, 90.0),
    "cape-town": City("Cape Town", Place(-33.9255, 18.4210), 40.0, 120.0, 90.0),
    "casablanca": City("Casablanca", Place(33.5890, -7.6110), 20.0, 120.0, 80.0),
    "chicago": City("Chicago", Place(41.8820, -87.6320), 0.0, 122.0, 116.0),
    "delhi": City("Delhi", Place(28.6315, 77.2167), 15.0, 170.0, 130.0),
    "istanbul": City("Istanbul", Place(41.0450, 28.9850), 25.0, 110.0, 80.0),
    "jakarta": City("Jakarta", Place(-6.1950, 106.8230), 0.0, 160.0, 110.0),
    "johannesburg": City("Johannesburg", Place(-26.2030, 28.0440), 0.0, 76.0, 76.0),
    "lagos": City("Lagos", Place(6.5100, 3.3700), 35.0, 150.0, 80.0),
    "lima": City("Lima", Place(-12.0530, -77.0350), 37.0, 125.0, 125.0),
    "london": City("London", Place(51.5160, -0.1300), 55.0, 120.0, 80.0),
    "los-angeles": City("Los Angeles", Place(34.0450, -118.2550), 38.0, 185.0, 105.0),
    "madrid": City("Madrid", Place(40.4280, -3.6830), 0.0, 115.0, 90.0),
    "melbourne": City("Melbourne", Place(-37.8136, 144.9631), 70.0, 224.0, 112.0),
    "mexico-city": City("Mexico City", Place(19.4330, -99.1360), 8.0, 110.0, 180.0),
    "mumbai": City("Mumbai", Place(18.9400, 72.8330), 15.0, 130.0, 90.0),
    "nairobi": City("Nairobi", Place(-1.2860, 36.8200), 40.0, 150.0, 100.0),
    "new-york": City("New York", Place(40.7549, -73.9840), 29.0, 80.0, 250.0),
    "paris": City("Paris", Place(48.8720, 2.3330), 30.0, 130.0, 90.0),
    "rome": City("Rome", Place(41.9040, 12.4950), 47.0, 120.0, 90.0),
    "san-francisco": City("San Francisco", Place(37.7880, -122.4120), 81.0, 148.0, 105.0),
    "santiago": City("Santiago", Place(-33.4400, -70.6520), 8.0, 125.0, 125.0),
    "sao-paulo": City("São Paulo", Place(-23.5580, -46.6610), 45.0, 115.0, 115.0),
    "seoul": City("Seoul", Place(37.5660, 126.9840), 0.0, 140.0, 100.0),
    "shanghai": City("Shanghai", Place(31.2300, 121.4700), 15.0, 200.0, 140.0),
    "singapore": City("Singapore", Place(1.2990, 103.8530), 43.0, 120.0, 90.0),
    "stockholm": City("Stockholm", Place(59.3400, 18.0600), 60.0, 120.0, 80.0),
    "sydney": City("Sydney", Place(-33.8735, 151.2070), 0.0, 140.0, 90.0),
    "tokyo": City("Tokyo", Place(35.6717, 139.7650), 40.0, 120.0, 70.0),
    "toronto": City("Toronto", Place(43.6520, -79.3830), 73.0, 180.0, 110.0),
    "warsaw": City("Warsaw", Place(52.2300, 21.0120), 20.0, 180.0, 130.0),
}
DEFAULT_CITY: Final = "barcelona"
