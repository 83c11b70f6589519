"""The map: ground, accuracy, avatars, and a camera that keeps the group in view until a finger
takes it.

An avatar is a control that is kept: one that is the same object as before costs no comparison, and
with 50 people those were most of what a move cost.
"""

import asyncio
import itertools
from typing import Any, Final

import flet as ft
import flet_map as ftm

from phone.controller import Controller
from phone.fit import Camera, Insets, Point, fit, group_of
from phone.maps import choose, grid, grid_step_m, is_dark
from phone.screens.kept import Kept
from phone.screens.parts import avatar
from phone.screens.theme import GRID, GROUND, SHADOW, safe_color, shortened
from phone.state import AppState
from phone.view import Person, freshness

PACKAGE: Final = "org.locshare.phone"
CLOSE: Final = 16.0
"""The zoom that shows one person."""
SIZE: Final = 44.0
TAG_WIDTH: Final = 120.0
LIST_HEIGHT: Final = 250.0
MOST_ACCURACY_M: Final = 5_000.0
_KINDS: Final = ("accuracy", "face", "marker")


@ft.component
def MapPane(state: AppState, control: Controller) -> ft.Control:  # noqa: N802 - a component
    """See the module."""
    ft.use_state(state)
    view = ft.use_memo(ft.Ref[ftm.Map], [])
    kept = ft.use_memo(Kept, [])
    camera, set_camera = ft.use_state(Camera(48.0, 10.0, 4.0))
    turns = ft.use_memo(itertools.count, [])
    newest = ft.use_memo(lambda: [0], [])
    group = state.group
    placed = [each for each in group.people if each.place is not None] if group else []
    target = _target(state, placed)

    async def move() -> None:
        if target is None or view.current is None:
            return
        turn = newest[0] = next(turns)
        # Of moves that come together the last one counts.
        await asyncio.sleep(0.05)
        if newest[0] != turn or view.current is None:
            return
        if _is_far(target, camera):
            set_camera(target)
        try:
            await view.current.move_to(
                ftm.MapLatitudeLongitude(target.lat, target.lng),
                zoom=target.zoom,
                cancel_ongoing_animations=True,
            )
        except (RuntimeError, TimeoutError):
            return  # the page is gone

    ft.use_effect(move, [target])

    def moved(event: ftm.MapPositionChangeEvent) -> None:
        if event.has_gesture:
            control.follow("free")
            at = event.camera
            here = Camera(at.center.latitude, at.center.longitude, at.zoom)
            if _is_far(here, camera):
                set_camera(here)

    choice = state.settings.map_choice
    source = choose(choice, state.maps, dark=state.dark)
    dark = is_dark(choice, dark=state.dark)
    layers: list[Any] = []
    if source is not None:
        layers.append(
            ftm.TileLayer(
                url_template=source.url, user_agent_package_name=PACKAGE, max_native_zoom=18
            )
        )
    else:
        layers.append(_grid(camera, dark=dark))
    layers.append(ftm.CircleLayer(circles=[_accuracy(each, kept) for each in placed]))
    layers.append(
        ftm.MarkerLayer(markers=[_marker(each, state, kept, control) for each in placed[::-1]])
    )
    kept.only(f"{kind}-{each.user_id}" for each in placed for kind in _KINDS)
    start = target or camera
    return ft.Semantics(
        identifier="map",
        label=state.words("map.label"),
        container=True,
        expand=True,
        content=ftm.Map(
            ref=view,
            key="map",
            expand=True,
            bgcolor=GROUND[dark],
            layers=layers,
            initial_center=ftm.MapLatitudeLongitude(start.lat, start.lng),
            initial_zoom=start.zoom,
            min_zoom=2,
            max_zoom=18,
            interaction_configuration=ftm.InteractionConfiguration(
                flags=ftm.InteractionFlag.ALL & ~ftm.InteractionFlag.ROTATE
            ),
            on_position_change=moved,
        ),
    )


def _target(state: AppState, placed: list[Person]) -> Camera | None:
    """Where the camera should be; None when a finger has chosen, or nobody is on the map."""
    page = ft.context.page
    width, height = page.width or 400.0, page.height or 800.0
    bottom = min(height * 0.6, 460.0) if state.list_is_long else LIST_HEIGHT
    insets = Insets(bottom=bottom + 72)
    if state.follow == "everyone":
        places = [Point(each.place.lat, each.place.lng) for each in placed if each.place]
        return _rounded(fit(group_of(places), width, height, insets)) if places else None
    wanted: Person | None = None
    if state.follow == "me":
        wanted = next((each for each in placed if each.is_me), None)
    elif state.follow == "person":
        wanted = next((each for each in placed if each.user_id == state.selected), None)
    if wanted is None or wanted.place is None:
        return None
    alone = fit([Point(wanted.place.lat, wanted.place.lng)], width, height, insets)
    close = fit([Point(wanted.place.lat, wanted.place.lng)], width, height, insets)
    return _rounded(Camera(close.lat, close.lng, min(alone.zoom, CLOSE)))


def _rounded(camera: Camera) -> Camera:
    """So that a step of half a metre is no move of the camera."""
    return Camera(round(camera.lat, 5), round(camera.lng, 5), round(camera.zoom, 1))


def _is_far(one: Camera, other: Camera) -> bool:
    """Whether the grid around ``other`` no longer covers what is seen around ``one``."""
    if abs(one.zoom - other.zoom) >= 0.5:
        return True
    span = 360 / 2**one.zoom
    return abs(one.lat - other.lat) > span / 2 or abs(one.lng - other.lng) > span / 2


def _grid(camera: Camera, *, dark: bool) -> Any:
    step_m = grid_step_m(camera.zoom, camera.lat)
    return ftm.PolylineLayer(
        polylines=[
            ftm.PolylineMarker(
                coordinates=[ftm.MapLatitudeLongitude(*place) for place in line],
                color=GRID[dark],
                stroke_width=1,
            )
            for line in grid(camera.lat, camera.lng, step_m)
        ]
    )


def _accuracy(each: Person, kept: Kept) -> Any:
    place, color = each.place, safe_color(each.color)
    assert place is not None  # noqa: S101 - who is placed
    name = f"accuracy-{each.user_id}"
    return kept.get(
        name,
        (place.lat, place.lng, place.accuracy, color),
        lambda: ftm.CircleMarker(
            key=name,
            coordinates=ftm.MapLatitudeLongitude(place.lat, place.lng),
            radius=min(place.accuracy or 0.0, MOST_ACCURACY_M),
            use_radius_in_meter=True,
            color=ft.Colors.with_opacity(0.14, color),
            border_color=ft.Colors.with_opacity(0.5, color),
            border_stroke_width=1,
        ),
    )


def _marker(each: Person, state: AppState, kept: Kept, control: Controller) -> Any:
    place, words = each.place, state.words
    assert place is not None  # noqa: S101 - who is placed
    worth = freshness(state.now - place.at) if each.online else "old"
    name_tag = words("map.you") if each.is_me else words.as_name(each.name)
    shown = each.name, name_tag, each.color, worth
    face = kept.get(f"face-{each.user_id}", shown, lambda: _face(each, name_tag, worth, control))
    name = f"marker-{each.user_id}"
    return kept.get(
        name,
        (place.lat, place.lng, shown),
        lambda: ftm.Marker(
            key=name,
            coordinates=ftm.MapLatitudeLongitude(place.lat, place.lng),
            width=TAG_WIDTH,
            height=SIZE + 48,
            content=face,
        ),
    )


def _face(each: Person, name_tag: str, worth: str, control: Controller) -> ft.Control:
    color = "#808B87" if worth == "old" and not each.is_me else each.color
    ring = ft.Colors.INVERSE_SURFACE if each.is_me else "#FFFFFF"
    return ft.Semantics(
        label=name_tag,
        identifier=f"marker-{each.user_id}",
        content=ft.Column(
            [
                ft.Container(height=24),
                ft.Container(
                    border_radius=SIZE / 2,
                    shadow=SHADOW,
                    opacity={"live": 1.0, "fading": 0.8}.get(worth, 0.65),
                    content=avatar(each.name, color, SIZE, ring=ring),
                    on_click=lambda: control.open_sheet("person", each.user_id),
                ),
                ft.Container(
                    bgcolor=ft.Colors.with_opacity(0.92, ft.Colors.SURFACE),
                    border_radius=8,
                    padding=ft.Padding.symmetric(horizontal=7, vertical=1),
                    content=ft.Text(
                        shortened(name_tag), size=11, weight=ft.FontWeight.W_600, no_wrap=True
                    ),
                ),
            ],
            spacing=2,
            tight=True,
            horizontal_alignment=ft.CrossAxisAlignment.CENTER,
        ),
    )
