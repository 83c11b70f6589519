"""The list of the group, below the map."""

import flet as ft

from phone.controller import Controller
from phone.i18n import Words
from phone.screens.kept import Kept
from phone.screens.parts import avatar, marked, quiet, soft
from phone.screens.theme import SHADOW
from phone.standing import Sharing, my_standing_text, standing_text, way, way_text
from phone.state import AppState
from phone.view import FRESH_S, Group, Person

SHORT: float = 250


def said_of(each: Person, state: AppState, group: Group, far: str = "") -> str:
    """How somebody stands, in words."""
    if each.is_me:
        mine = Sharing(
            state.permission, group.paused, group.watching, state.searching, state.settings.blurred,
            cut=state.offline or group.link.state == "waiting",
        )  # fmt: skip
        return my_standing_text(each, state.now, state.words, mine)
    is_live = group.link.state == "live" and not state.offline
    return standing_text(each, state.now, state.words, is_live=is_live, far=far)


@ft.component
def People(state: AppState, control: Controller) -> ft.Control:  # noqa: N802 - a component
    """See the module."""
    ft.use_state(state)
    words, group = state.words, state.group
    if group is None:
        return ft.Container()
    page = ft.context.page
    tall = min((page.height or 800) * 0.6, 460.0)
    alone = len(group.people) <= 1
    shares = not group.paused and not group.watching
    act = "pause" if shares else "start" if group.watching else "resume"
    head = ft.Row(
        [
            ft.Container(
                expand=True,
                content=ft.Semantics(header=True, content=ft.Text(
                    words("people.count", n=len(group.people)), size=17, weight=ft.FontWeight.W_700,
                    no_wrap=True, overflow=ft.TextOverflow.ELLIPSIS,
                )),
            ),
            quiet("pause", words(f"action.{act}"), control.pause,
                  ft.Icons.PAUSE if shares else ft.Icons.PLAY_ARROW),
            marked("invite", ft.FilledTonalButton(
                key="invite", height=44, on_click=control.inviting.open, icon=ft.Icons.QR_CODE,
                content=ft.Text(words("action.invite"), size=15, weight=ft.FontWeight.W_600),
                style=ft.ButtonStyle(
                    shape=ft.RoundedRectangleBorder(radius=12), elevation=0,
                    padding=ft.Padding.symmetric(horizontal=14),
                ),
            )),
        ],
        spacing=6,
    )  # fmt: skip
    kept = ft.use_memo(Kept, [])
    rows: list[ft.Control] = [_row(each, state, group, control, kept) for each in group.people]
    kept.only(each.user_id for each in group.people)
    if alone:
        rows.append(ft.Container(soft(words("people.alone")), padding=ft.Padding.only(top=6)))
    grip_label = words("people.less" if state.list_is_long else "people.more")
    return ft.Container(
        height=tall if state.list_is_long else SHORT,
        bgcolor=ft.Colors.SURFACE,
        border_radius=ft.BorderRadius.only(top_left=24, top_right=24),
        shadow=SHADOW,
        padding=ft.Padding.only(left=18, right=14, bottom=4),
        content=ft.SafeArea(
            avoid_intrusions_top=False,
            expand=True,
            content=ft.Column(
                [
                    ft.Semantics(
                        identifier="grip",
                        label=grip_label,
                        button=True,
                        content=ft.Container(
                            key="grip",
                            height=22,
                            alignment=ft.Alignment.CENTER,
                            on_click=control.toggle_list,
                            content=ft.Container(
                                width=44,
                                height=5,
                                border_radius=3,
                                bgcolor=ft.Colors.OUTLINE_VARIANT,
                            ),
                        ),
                    ),
                    head,
                    ft.Column(rows, scroll=ft.ScrollMode.AUTO, expand=True, spacing=0),
                ],
                spacing=4,
                expand=True,
                horizontal_alignment=ft.CrossAxisAlignment.STRETCH,
            ),
        ),
    )


def _row(
    each: Person, state: AppState, group: Group, control: Controller, kept: Kept
) -> ft.Control:
    words, me = state.words, group.me
    text = said_of(each, state, group)
    live = each.online and each.place is not None and state.now - each.place.at < FRESH_S
    away: tuple[str, str] | None = None
    if not each.is_me and each.place is not None and me is not None and me.place is not None:
        away = way_text(way(me.place, each.place), words, state.units)
    key = each.name, each.color, each.online, each.is_host, text, live, away, words.language
    found: ft.Control = kept.get(
        each.user_id, key, lambda: _new_row(each, text, away, words, control, live=live)
    )
    return found


def _new_row(
    each: Person, text: str, away: tuple[str, str] | None, words: Words, control: Controller, *,
    live: bool,
) -> ft.Control:  # fmt: skip
    color = ft.Colors.PRIMARY if live else ft.Colors.ON_SURFACE_VARIANT
    name = f"{each.name} {words('people.me')}" if each.is_me else words.as_name(each.name)
    beside: list[ft.Control] = []
    if each.is_host:
        beside.append(ft.Container(
            bgcolor=ft.Colors.PRIMARY_CONTAINER,
            border_radius=8,
            padding=ft.Padding.symmetric(horizontal=8, vertical=2),
            content=ft.Text(
                words("person.host"), size=11, color=ft.Colors.ON_PRIMARY_CONTAINER,
                weight=ft.FontWeight.W_600,
            ),
        ))  # fmt: skip
    label = f"{name}, {text}"
    if away is not None:
        far, where = away
        label += f", {far} {where}"
        beside.append(ft.Column(
            [
                ft.Text(far, size=14, weight=ft.FontWeight.W_600),
                *([soft(where, 12)] if where else []),
            ],
            spacing=0, tight=True, horizontal_alignment=ft.CrossAxisAlignment.END,
        ))  # fmt: skip
    return ft.Semantics(
        identifier=f"row-{each.user_id}",
        label=label,
        button=True,
        content=ft.Container(
            key=f"row-{each.user_id}",
            padding=ft.Padding.symmetric(vertical=7),
            border_radius=12,
            on_click=lambda: control.open_sheet("person", each.user_id),
            content=ft.Row(
                [
                    ft.Container(
                        avatar(each.name, each.color, 40, ring=ft.Colors.SURFACE),
                        opacity=1.0 if each.online else 0.5,
                    ),
                    ft.Column(
                        [
                            ft.Text(name, size=15, weight=ft.FontWeight.W_600, no_wrap=True,
                                    overflow=ft.TextOverflow.ELLIPSIS),
                            ft.Text(text, size=13, no_wrap=True, overflow=ft.TextOverflow.ELLIPSIS,
                                    color=color),
                        ],
                        spacing=0, expand=True,
                    ),
                    *beside,
                ],
                spacing=12,
            ),
        ),
    )  # fmt: skip
