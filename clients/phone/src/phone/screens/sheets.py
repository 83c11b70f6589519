"""What comes up over the map: the menu, one person, the reason for the location, what is asked
back.
"""

from collections.abc import Callable

import flet as ft

from phone.controller import Controller
from phone.i18n import isolated
from phone.maps import choices
from phone.screens.invite import invite_sheet
from phone.screens.parts import (
    Handler,
    choice,
    doing,
    item,
    primary,
    problem,
    quiet,
    sheet,
    soft,
)
from phone.screens.person import person_sheet
from phone.settings import MOST_SESSIONS
from phone.state import AppState
from phone.view import Group


@ft.component
def Sheets(state: AppState, control: Controller) -> ft.Control:  # noqa: N802 - a component
    """The open sheet."""
    ft.use_state(state)
    ban, set_ban = ft.use_state(True)
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
            heading = person.name if person.is_me else words.as_name(person.name)
            controls = person_sheet(state, group, person, control)
        case "invite":
            heading, controls = words("invite.title"), invite_sheet(state, group, control)
        case "map_type":
            heading, controls = words("map.type"), _map_type(state, control)
        case "remove" if person is not None:
            heading = words("confirm.remove", name=isolated(words.as_name(person.name)))
            controls = _remove(state, control, ban, set_ban)
        case "leave" | "end" | "step_down" | "new_link" as what:
            heading, controls = words(f"confirm.{what}"), _ask_back(state, control, what)
        case _:
            return ft.Container()
    parts = [problem(state.problem), *controls]
    spacing = 0 if state.sheet in ("menu", "person") else 12
    return sheet(heading, parts, words("action.close"), control.close_sheet, spacing=spacing)


def _explain(state: AppState, control: Controller) -> list[ft.Control]:
    words = state.words
    return [
        soft(words("location.text"), 15),
        soft(words("location.notification"), 15),
        primary("allow", words("location.allow"), control.allow_location),
        quiet("watch", words("join.watch"), control.only_watch),
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
    found: list[ft.Control] = [
        item("menu_invite", ft.Icons.QR_CODE, words("action.invite"), control.inviting.open,
             hint=words("menu.invite")),
        item("settings", ft.Icons.TUNE, words("menu.settings"), lambda: control.go("settings")),
    ]  # fmt: skip
    if group.is_host:
        found += [_part(words("menu.host")), *_hosting(state, group, control)]
    others = [each for each in state.groups if each.session_id != group.session_id]
    more = len(state.groups) < MOST_SESSIONS
    if others or more:
        found.append(_part(words("menu.sessions")))
    for each in others:
        left = words.left(each.expires_at - state.now)
        found.append(
            item(f"session-{each.session_id}", ft.Icons.PLACE_OUTLINED, each.name,
                 doing(control.show, each.session_id), hint=words("session.ends", left=left))
        )  # fmt: skip
    if more:
        found.append(item("new", ft.Icons.ADD, words("menu.new"), lambda: control.go("home")))
    found.append(item("leave", ft.Icons.LOGOUT, words("action.leave"),
                      lambda: control.open_sheet("leave"), danger=True))  # fmt: skip
    return found


def _hosting(state: AppState, group: Group, control: Controller) -> list[ft.Control]:
    words, locked = state.words, group.locked

    async def lock() -> None:
        await control.host.lock(locked=not locked)

    end = item("end", ft.Icons.STOP_CIRCLE_OUTLINED, words("action.end"),
               lambda: control.open_sheet("end"), danger=True)  # fmt: skip
    if not group.can_host:
        return [end]
    step_down = item("step_down", ft.Icons.STAR_OUTLINE, words("action.step_down"),
                     lambda: control.open_sheet("step_down"))  # fmt: skip
    # Nobody could make the only host a host again.
    is_the_only_host = sum(each.is_host for each in group.people) < 2
    return [
        item("lock", ft.Icons.LOCK_OPEN if locked else ft.Icons.LOCK_OUTLINE,
             words("action.unlock" if locked else "action.lock"), lock,
             hint=words("menu.unlock" if locked else "menu.lock")),
        item("new_link", ft.Icons.LINK, words("action.new_link"),
             lambda: control.open_sheet("new_link"), hint=words("menu.new_link")),
        *([] if is_the_only_host else [step_down]),
        end,
    ]  # fmt: skip


def _map_type(state: AppState, control: Controller) -> list[ft.Control]:
    words, chosen = state.words, state.settings.map_choice
    options = [(each, words(f"map.type.{each}")) for each in choices(state.maps)]
    return [choice("map_choice", chosen, options, control.preferences.set_map)]


def _part(text: str) -> ft.Control:
    return ft.Container(soft(text), padding=ft.Padding.only(left=8, top=10, bottom=2))
