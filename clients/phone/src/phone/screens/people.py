"""The list of the group, below the map."""

import flet as ft

from phone.controller import Controller
from phone.i18n import Words
from phone.screens.parts import avatar, marked, quiet, soft
from phone.screens.theme import SHADOW
from phone.state import AppState
from phone.view import FRESH_S, STALE_S, Group, Permission, Person

SHORT: float = 250


def status(each: Person, now: float, words: Words, *, paused: bool, permission: Permission,
           searching: bool) -> str:  # fmt: skip
    """What is said of somebody under their name. Pure."""
    age_s = now - each.place.at if each.place is not None else None
    if each.is_me:
        if paused:
            return words("person.paused_me")
        if permission != "granted":
            return words("person.not_shared")
        if age_s is None or (searching and age_s > STALE_S):
            return words("person.searching")
        return (
            words("person.sharing")
            if age_s < STALE_S
            else words("person.mine_old", ago=words.ago(age_s))
        )
    if not each.online:
        return words("person.offline", ago=words.ago(max(now - each.last_seen, 0)))
    if each.state == "paused":
        return words("person.paused")
    if age_s is None:
        return words("person.no_position")
    if age_s >= STALE_S:
        here = words("person.here", ago=words.ago(age_s))
        return f"{words('person.hidden')} · {here}" if each.state == "hidden" else here
    return words("person.live") if age_s < FRESH_S else words("person.here", ago=words.ago(age_s))


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
    head = ft.Row(
        [
            ft.Container(
                expand=True,
                content=ft.Text(
                    words("people.count", n=len(group.people)), size=17, weight=ft.FontWeight.W_700
                ),
            ),
            quiet("pause", words("action.resume" if group.paused else "action.pause"),
                  control.pause, ft.Icons.PLAY_ARROW if group.paused else ft.Icons.PAUSE),
            marked("invite", ft.FilledTonalButton(
                key="invite", height=44, on_click=control.invite, icon=ft.Icons.IOS_SHARE,
                content=ft.Text(words("action.invite"), size=15, weight=ft.FontWeight.W_600),
                style=ft.ButtonStyle(shape=ft.RoundedRectangleBorder(radius=12)),
            )),
        ],
        spacing=6,
    )  # fmt: skip
    rows: list[ft.Control] = [_row(each, state, group, control) for each in group.people]
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


def _row(each: Person, state: AppState, group: Group, control: Controller) -> ft.Control:
    words = state.words
    text = status(
        each, state.now, words, paused=group.paused, permission=state.permission,
        searching=state.searching,
    )  # fmt: skip
    live = each.online and each.place is not None and state.now - each.place.at < FRESH_S
    color = ft.Colors.PRIMARY if live else ft.Colors.ON_SURFACE_VARIANT
    name = f"{each.name} {words('people.me')}" if each.is_me else each.name
    badge = [
        ft.Container(
            bgcolor=ft.Colors.PRIMARY_CONTAINER,
            border_radius=8,
            padding=ft.Padding.symmetric(horizontal=8, vertical=2),
            content=ft.Text(
                words("person.host"), size=11, color=ft.Colors.ON_PRIMARY_CONTAINER,
                weight=ft.FontWeight.W_600,
            ),
        )
    ] if each.is_host else []  # fmt: skip
    return ft.Semantics(
        identifier=f"row-{each.user_id}",
        label=f"{name}, {text}",
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
                    *badge,
                ],
                spacing=12,
            ),
        ),
    )  # fmt: skip
