"""The ground of the map: what a server offers."""

import msgspec

from phone.maps import MapSource, choices, choose, grid, grid_step_m, raster_maps, raster_of


def test_a_servers_raster_maps_are_offered_and_others_leave_the_plain_ground() -> None:
    config = msgspec.json.encode(
        {"maps": [
            {"name": "standard", "kind": "raster", "url": "tiles/{z}/{x}/{y}.png"},
            {"name": "satellite", "kind": "raster", "url": "https://b/{z}/{x}/{y}.jpg"},
            {"name": "dark", "kind": "style", "url": "https://c/style.json"},
            {"name": "terrain", "kind": "tilejson", "url": "tiles.json"},
            {"name": "odd", "kind": "raster", "url": "file:///{z}/{x}/{y}"},
            {"name": "world", "kind": "tilejson", "url": "world.json"},
        ]}
    )  # fmt: skip
    found, to_ask = raster_maps(config, "https://a/maps")
    assert found == [
        MapSource("standard", "https://a/maps/tiles/{z}/{x}/{y}.png"),
        MapSource("satellite", "https://b/{z}/{x}/{y}.jpg"),
    ]
    assert to_ask == [("terrain", "https://a/maps/tiles.json")]
    pictures = msgspec.json.encode({"tiles": ["t/{z}/{x}/{y}.webp"], "attribution": "us"})
    vectors = msgspec.json.encode({"tiles": ["t/{z}/{x}/{y}.mvt"]})
    place = "https://a/maps/tiles.json"
    assert raster_of("terrain", pictures, place) == MapSource(
        "terrain", "https://a/maps/t/{z}/{x}/{y}.webp", "us"
    )
    assert raster_of("terrain", vectors, place) is None
    assert choices(found) == ("auto", "light", "satellite", "plain")
    assert choices([]) == ("auto", "light", "dark")
    assert choose("satellite", found, dark=False) == found[1]
    assert choose("terrain", found, dark=True) == found[0]
    assert choose("plain", found, dark=False) is None
    assert choose("auto", [], dark=False) is None


def test_the_lines_of_the_plain_ground_are_a_round_distance_apart() -> None:
    assert grid_step_m(17, 52.5) == 50
    assert grid_step_m(10, 0) == 10_000
    here, near = grid(52.5, 13.4, 100), grid(52.5001, 13.4001, 100)
    assert here == near
    assert all(-85 <= lat <= 85 for line in grid(84.9, 179.9, 1_000_000) for lat, _ in line)
