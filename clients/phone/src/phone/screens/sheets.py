"""What comes up over the map: the menu, one person, the reason for the location, what is asked
back.
"""

from collections.abc import Callable

import flet as ft

from locshare.model.distance import metres_between
from phone.controller import Controller
from phone.i18n import isolated
from phone.maps import choices
from phone.screens.parts import (
    Handler,
    avatar,
    choice,
    doing,
    primary,
    problem,
    quiet,
    sheet,
    soft,
)
from phone.settings import MOST_SESSIONS
from phone.state import AppState
from phone.view import Group, Person


@ft.component
def Sheets(state: AppState, control: Controller) -> ft.Control:  # noqa: N802 - a component
    """The open sheet."""
    ft.use_state(state)
    ban, set_ban = ft.use_state(False)
    group = state.group
    if group is None:
        return ft.Container()
    words, person = state.words, group.person(state.selected)
    controls: list[ft.Control]
    match state.sheet:
        case "menu":
            heading, controls = group.name, _menu(state, group, control)
        case "explain":
            heading, controls = words("location.title"), _explain(state, control)
        case "person" if person is not None:
            heading, controls = person.name, _person(state, group, person, control)
        case "remove" if person is not None:
            heading = words("confirm.remove", name=isolated(person.name))
            controls = _remove(state, control, ban, set_ban)
        case "leave" | "end" | "step_down" | "new_link" as what:
            heading, controls = words(f"confirm.{what}"), _ask_back(state, control, what)
        case _:
            return ft.Container()
    parts = [problem(state.problem), *controls]
    return sheet(heading, parts, words("action.close"), control.close_sheet)


def _explain(state: AppState, control: Controller) -> list[ft.Control]:
    words = state.words
    return [
        soft(words("location.text"), 15),
        soft(words("location.notification"), 15),
        primary("allow", words("location.allow"), control.allow_location),
        quiet("watch", words("location.watch"), control.only_watch),
    ]


def _ask_back(state: AppState, control: Controller, what: str) -> list[ft.Control]:
    act = {
        "leave": control.leave,
        "end": control.host.end_session,
        "step_down": control.host.step_down,
        "new_link": control.host.replace_link,
    }[what]
    words = state.words
    return _confirm(state, control, words(f"confirm.{what}.text"), words(f"action.{what}"), act)


def _remove(
    state: AppState, control: Controller, ban: bool, set_ban: Callable[[bool], None]
) -> list[ft.Control]:
    words = state.words

    async def remove() -> None:
        await control.host.remove(ban=ban)

    def changed(event: ft.Event[ft.Switch]) -> None:
        set_ban(bool(event.control.value))

    return [
        ft.Switch(label=words("confirm.ban"), value=ban, key="ban", on_change=changed),
        *_confirm(state, control, words("confirm.ban.hint"), words("person.remove"), remove),
    ]


def _confirm(
    state: AppState, control: Controller, text: str, yes: str, act: Handler
) -> list[ft.Control]:
    return [
        soft(text, 15),
        primary("yes", yes, act, busy=state.busy, danger=True),
        quiet("no", state.words("action.cancel"), control.close_sheet),
    ]


def _menu(state: AppState, group: Group, control: Controller) -> list[ft.Control]:
    words = state.words

    async def lock() -> None:
        await control.host.lock(locked=not group.locked)

    kinds = choices(state.maps)
    found: list[ft.Control] = [
        soft(words("map.type")),
        choice("map_choice", state.settings.map_choice,
               [(each, words(f"map.type.{each}")) for each in kinds], control.set_map),
    ]  # fmt: skip
    if group.is_host and group.can_host:
        text = words("menu.unlock" if group.locked else "menu.lock")
        found += [
            soft(words("menu.host")),
            quiet("lock", words("action.unlock" if group.locked else "action.lock"), lock,
                  ft.Icons.LOCK_OPEN if group.locked else ft.Icons.LOCK_OUTLINE),
            soft(text, 13),
            quiet("new_link", words("action.new_link"),
                  lambda: control.open_sheet("new_link"), ft.Icons.LINK_OFF),
            quiet("step_down", words("action.step_down"),
                  lambda: control.open_sheet("step_down"), ft.Icons.PERSON_REMOVE_OUTLINED),
        ]  # fmt: skip
    if group.is_host:
        found.append(quiet("end", words("action.end"), lambda: control.open_sheet("end"),
                           ft.Icons.STOP_CIRCLE_OUTLINED, danger=True))  # fmt: skip
    others = [each for each in state.groups if each.session_id != group.session_id]
    if others:
        found.append(soft(words("menu.sessions")))
        found += [
            quiet(f"session-{each.session_id}", each.name,
                  doing(control.show, each.session_id), ft.Icons.MAP_OUTLINED)
            for each in others
        ]  # fmt: skip
    if len(state.groups) < MOST_SESSIONS:
        found.append(quiet("new", words("menu.new"), lambda: control.go("home"), ft.Icons.ADD))
    found += [
        quiet("settings", words("menu.settings"), lambda: control.go("settings"),
              ft.Icons.SETTINGS_OUTLINED),
        quiet("leave", words("action.leave"), lambda: control.open_sheet("leave"),
              ft.Icons.LOGOUT, danger=True),
    ]  # fmt: skip
    return found


def _person(state: AppState, group: Group, each: Person, control: Controller) -> list[ft.Control]:
    words, me, place = state.words, group.me, each.place
    facts: list[tuple[str, str]] = []
    if place is not None:
        if not each.is_me and me is not None and me.place is not None:
            away = metres_between(me.place.lat, me.place.lng, place.lat, place.lng)
            facts.append(("fact.distance", words.distance(away)))
        facts.append(("fact.age", words.ago(max(state.now - place.at, 0))))
        if place.accuracy is not None:
            facts.append(("fact.accuracy", words("unit.m", n=round(place.accuracy))))
        if place.battery is not None:
            facts.append(("fact.battery", words("unit.percent", n=round(place.battery))))
    found: list[ft.Control] = [
        ft.Row(
            [
                avatar(each.name, each.color, 56, ring=ft.Colors.SURFACE),
                ft.Column(
                    [
                        ft.Row([
                            ft.Container(soft(words(key)), width=120),
                            ft.Text(value, size=15, weight=ft.FontWeight.W_600),
                        ])
                        for key, value in facts
                    ] or [soft(words("person.no_position"))],
                    spacing=2, tight=True,
                ),
            ],
            spacing=16, vertical_alignment=ft.CrossAxisAlignment.START,
        )
    ]  # fmt: skip
    if place is not None:
        found.append(
            quiet("follow", words("person.follow"),
                  lambda: control.follow("me" if each.is_me else "person", each.user_id),
                  ft.Icons.MY_LOCATION)
        )  # fmt: skip
    if group.is_host and not each.is_me:
        if group.can_host and not each.is_host:
            found.append(quiet("make_host", words("person.make_host"), control.host.make_host,
                               ft.Icons.STAR_OUTLINE))  # fmt: skip
        found.append(
            quiet("remove", words("person.remove"),
                  lambda: control.open_sheet("remove", each.user_id),
                  ft.Icons.PERSON_REMOVE_OUTLINED, danger=True)
        )  # fmt: skip
    return found
