"""What comes up over the map: the menu, one person, the reason for the location, what is asked
back.
"""

import flet as ft

from locshare.model.distance import metres_between
from phone.controller import Controller
from phone.i18n import isolated
from phone.maps import choices
from phone.screens.parts import (
    avatar,
    choice,
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
    if group is None or not state.sheet:
        return ft.Container()
    words = state.words

    def close() -> None:
        control.back()

    async def lock() -> None:
        await control.lock(locked=not group.locked)

    async def remove() -> None:
        await control.remove(ban=ban)

    person = group.person(state.selected)
    heading, controls = "", list[ft.Control]()
    match state.sheet:
        case "menu":
            heading, controls = group.name, _menu(state, group, control, lock)
        case "explain":
            heading = words("location.title")
            controls = [
                soft(words("location.text"), 15),
                soft(words("location.notification"), 15),
                primary("allow", words("location.allow"), control.allow_location),
                quiet("watch", words("location.watch"), control.only_watch),
            ]
        case "person" if person is not None:
            heading, controls = person.name, _person(state, group, person, control)
        case "leave":
            heading = words("confirm.leave")
            controls = _confirm(words("confirm.leave.text"), words("action.leave"),
                                control.leave, words("action.cancel"), close)  # fmt: skip
        case "end":
            heading = words("confirm.end")
            controls = _confirm(words("confirm.end.text"), words("action.end"),
                                control.end_session, words("action.cancel"), close)  # fmt: skip
        case "step_down":
            heading = words("confirm.step_down")
            controls = _confirm(words("confirm.step_down.text"), words("action.step_down"),
                                control.step_down, words("action.cancel"), close)  # fmt: skip
        case "remove" if person is not None:
            heading = words("confirm.remove", name=isolated(person.name))
            controls = [
                ft.Switch(label=words("confirm.ban"), value=ban, key="ban",
                          on_change=lambda event: set_ban(bool(event.control.value))),
                *_confirm(words("confirm.ban.hint"), words("person.remove"), remove,
                          words("action.cancel"), close),
            ]  # fmt: skip
        case _:
            return ft.Container()
    return sheet(heading, [problem(state.problem), *controls], words("action.close"), close)


def _confirm(text: str, yes: str, act: object, no: str, close: object) -> list[ft.Control]:
    return [
        soft(text, 15),
        primary("yes", yes, act),  # type: ignore[arg-type]
        quiet("no", no, close),  # type: ignore[arg-type]
    ]


def _menu(state: AppState, group: Group, control: Controller, lock: object) -> list[ft.Control]:
    words = state.words
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
            quiet("lock", words("action.unlock" if group.locked else "action.lock"), lock,  # type: ignore[arg-type]
                  ft.Icons.LOCK_OPEN if group.locked else ft.Icons.LOCK_OUTLINE),
            soft(text, 13),
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
                  lambda s=each.session_id: control.show(s), ft.Icons.MAP_OUTLINED)
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
            found.append(quiet("make_host", words("person.make_host"), control.make_host,
                               ft.Icons.STAR_OUTLINE))  # fmt: skip
        found.append(
            quiet("remove", words("person.remove"),
                  lambda: control.open_sheet("remove", each.user_id),
                  ft.Icons.PERSON_REMOVE_OUTLINED, danger=True)
        )  # fmt: skip
    return found
