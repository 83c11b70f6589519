"""The session on the screen: the map, and over it what is happening."""

import flet as ft

from phone.controller import Controller
from phone.maps import choose
from phone.screens.kept import once
from phone.screens.map_pane import MapPane
from phone.screens.parts import marked, quiet, round_button
from phone.screens.people import People
from phone.screens.sheets import Sheets
from phone.screens.theme import SHADOW
from phone.state import AppState
from phone.view import Group

_MapPane, _People, _Sheets = once(MapPane), once(People), once(Sheets)


@ft.component
def LiveScreen(state: AppState, control: Controller) -> ft.Control:  # noqa: N802 - a component
    """See the module."""
    ft.use_state(state)
    group = state.group
    if group is None:
        return ft.Container()
    words = state.words
    top = ft.Container(
        left=0, right=0, top=0,
        content=ft.SafeArea(
            avoid_intrusions_bottom=False,
            content=ft.Container(
                padding=ft.Padding.symmetric(horizontal=12, vertical=10),
                content=ft.Column(
                    [_bar(state, group, control), *_banners(state, group, control)], spacing=8,
                    horizontal_alignment=ft.CrossAxisAlignment.STRETCH,
                ),
            ),
        ),
    )  # fmt: skip
    tools = ft.Column(
        [
            round_button("everyone", ft.Icons.ZOOM_OUT_MAP, words("map.everyone"),
                         lambda: control.follow("everyone"), chosen=state.follow == "everyone"),
            round_button("me", ft.Icons.MY_LOCATION, words("map.me"),
                         lambda: control.follow("me"), chosen=state.follow == "me"),
            round_button("layers", ft.Icons.LAYERS_OUTLINED, words("map.type"),
                         lambda: control.open_sheet("map_type")),
        ],
        spacing=10, tight=True,
    )  # fmt: skip
    lower = ft.Column(
        [
            ft.Container(
                padding=ft.Padding.only(left=12, right=12, bottom=12),
                content=ft.Row(
                    [ft.Container(_attribution(state), expand=True), tools],
                    vertical_alignment=ft.CrossAxisAlignment.END, spacing=10,
                ),
            ),
            ft.Container(
                alignment=ft.Alignment.CENTER,
                content=ft.Container(_People(state, control), width=640),
            ),
        ],
        spacing=0, tight=True, horizontal_alignment=ft.CrossAxisAlignment.STRETCH,
    )  # fmt: skip
    return ft.Stack(
        expand=True,
        controls=[
            ft.Container(_MapPane(state, control), left=0, top=0, right=0, bottom=0),
            top,
            ft.Container(lower, left=0, right=0, bottom=0),
            *([ft.Container(_Sheets(state, control), left=0, top=0, right=0, bottom=0)]
              if state.sheet else []),
        ],
    )  # fmt: skip


def _bar(state: AppState, group: Group, control: Controller) -> ft.Control:
    words = state.words
    parts = [words("session.ends", left=words.left(group.expires_at - state.now))]
    if group.locked:
        parts.append(words("session.locked"))
    live = group.link.state == "live" and not state.offline
    return ft.Container(
        bgcolor=ft.Colors.SURFACE,
        border_radius=18,
        shadow=SHADOW,
        padding=ft.Padding.only(left=16, right=4, top=6, bottom=6),
        content=ft.Row(
            [
                marked("link", ft.Container(
                    width=10, height=10, border_radius=5,
                    bgcolor=ft.Colors.PRIMARY if live else ft.Colors.OUTLINE,
                ), label=words("person.live") if live else words("link.connecting")),
                ft.Column(
                    [
                        ft.Semantics(header=True, content=ft.Text(
                            group.name, size=17, weight=ft.FontWeight.W_700, no_wrap=True,
                            overflow=ft.TextOverflow.ELLIPSIS)),
                        ft.Text(" · ".join(parts), size=12, color=ft.Colors.ON_SURFACE_VARIANT),
                    ],
                    spacing=0, expand=True,
                ),
                marked("menu", ft.IconButton(
                    icon=ft.Icons.MENU, key="menu", tooltip=words("menu.word"), width=48, height=48,
                    on_click=lambda: control.open_sheet("menu"))),
            ],
            spacing=12,
        ),
    )  # fmt: skip


def _attribution(state: AppState) -> ft.Control | None:
    """Whose map it is. Over the list, which covers the map's own corners."""
    source = choose(state.settings.map_choice, state.maps, dark=state.dark)
    if source is None or not source.attribution:
        return None
    return ft.Row([
        ft.Container(
            expand=True, expand_loose=True,
            bgcolor=ft.Colors.with_opacity(0.8, ft.Colors.SURFACE),
            border_radius=8,
            padding=ft.Padding.symmetric(horizontal=8, vertical=2),
            content=marked("attribution", ft.Text(
                source.attribution, size=11, max_lines=2, overflow=ft.TextOverflow.ELLIPSIS,
            )),
        )
    ])  # fmt: skip


def _banners(state: AppState, group: Group, control: Controller) -> list[ft.Control]:
    """One thing at a time: what matters most, and what has just happened."""
    words = state.words
    found: list[ft.Control] = []
    retry_s = group.link.retry_at - state.now
    if state.offline:
        found.append(_banner("link.offline", words("link.offline")))
    elif group.link.state == "waiting":
        seconds = max(round(retry_s), 0)
        text = words("link.lost.in", n=seconds) if seconds else words("link.lost")
        found.append(_banner("link.lost", text))
    elif group.link.state == "connecting":
        found.append(_banner("link.connecting", words("link.connecting")))
    elif not group.paused and state.permission in ("denied", "denied_forever", "off"):
        denied = state.permission == "denied"
        button = words("location.ask" if denied else "location.settings")
        found.append(_banner("location", words(f"location.{state.permission}"), (button, control)))
    elif not group.paused and state.searching and group.me is not None and group.me.place:
        found.append(_banner("location.unavailable", words("location.unavailable")))
    elif state.saving:
        found.append(_banner("saving", words("saving.on")))
    if state.problem and not state.sheet:
        found.append(_banner("problem", state.problem))
    if state.notice:
        found.append(_banner("notice", state.notice))
    return found


def _banner(key: str, text: str, action: tuple[str, Controller] | None = None) -> ft.Control:
    notice = key == "notice"
    ink = ft.Colors.ON_INVERSE_SURFACE if notice else ft.Colors.ON_TERTIARY_CONTAINER
    button = [quiet("mend", action[0], action[1].mend_location)] if action else []
    return ft.Container(
        bgcolor=ft.Colors.INVERSE_SURFACE if notice else ft.Colors.TERTIARY_CONTAINER,
        border_radius=14,
        shadow=SHADOW,
        padding=ft.Padding.symmetric(horizontal=14, vertical=8 if action else 10),
        content=ft.Row(
            [
                ft.Container(
                    marked(f"banner-{key}", ft.Text(text, size=14, color=ink), live_region=True),
                    expand=True,
                ),
                *button,
            ],
            spacing=8,
        ),
    )
