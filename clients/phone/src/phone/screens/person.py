"""One person's sheet: where they are, how far, how fast, how old that is, and the way to them."""

import flet as ft

from phone.controller import Controller
from phone.screens.parts import avatar, item, soft
from phone.screens.people import said_of
from phone.standing import NEAR_M, way, way_text
from phone.state import AppState
from phone.view import Group, Person


def person_sheet(
    state: AppState, group: Group, each: Person, control: Controller
) -> list[ft.Control]:
    """What stands below the name."""
    words, me, place = state.words, group.me, each.place
    facts: list[tuple[ft.IconData, str, str]] = []
    far = ""
    if place is not None:
        if not each.is_me and me is not None and me.place is not None:
            found = way(me.place, place)
            text, where = way_text(found, words, state.units)
            far = text if found.metres >= NEAR_M else ""
            facts.append((ft.Icons.NEAR_ME_OUTLINED, "fact.distance", f"{text} {where}".strip()))
        if place.speed is not None:
            speed = words.speed(place.speed, state.units)
            facts.append((ft.Icons.SPEED, "fact.speed", speed))
        age = words.ago(max(state.now - place.at, 0))
        facts.append((ft.Icons.SCHEDULE, "fact.age", age))
        if place.accuracy is not None:
            exact = words.distance(max(place.accuracy, 10.0), state.units)
            facts.append((ft.Icons.ADJUST, "fact.accuracy", f"± {exact}"))
        if place.battery is not None:
            level = words("unit.percent", n=round(place.battery))
            facts.append((ft.Icons.BATTERY_STD, "fact.battery", level))
    host = f"{words('person.host')} · " if each.is_host else ""
    return [
        ft.Row(
            [
                avatar(each.name, each.color, 56, ring=ft.Colors.SURFACE),
                ft.Container(soft(host + said_of(each, state, group, far), 15), expand=True),
            ],
            spacing=16,
        ),
        *([_facts([(icon, words(key), value) for icon, key, value in facts])] if facts else []),
        *_deeds(state, group, each, control),
    ]


def _facts(facts: list[tuple[ft.IconData, str, str]]) -> ft.Control:
    return ft.Container(
        bgcolor=ft.Colors.SURFACE_CONTAINER,
        border_radius=14,
        padding=ft.Padding.symmetric(horizontal=14, vertical=10),
        margin=ft.Margin.symmetric(vertical=6),
        content=ft.Column(
            [
                ft.Row(
                    [
                        ft.Icon(icon, size=18, color=ft.Colors.ON_SURFACE_VARIANT),
                        ft.Container(soft(label), expand=True),
                        ft.Text(value, size=15, weight=ft.FontWeight.W_600),
                    ],
                    spacing=12,
                )
                for icon, label, value in facts
            ],
            spacing=8, tight=True,
        ),
    )  # fmt: skip


def _deeds(state: AppState, group: Group, each: Person, control: Controller) -> list[ft.Control]:
    words = state.words
    found: list[ft.Control] = []
    if each.place is not None:
        found.append(
            item(
                "follow",
                ft.Icons.MY_LOCATION,
                words("person.follow"),
                lambda: control.follow("me" if each.is_me else "person", each.user_id),
            )
        )
        if not each.is_me:

            async def show_way() -> None:
                await control.show_way(each.user_id)

            found.append(item("directions", ft.Icons.DIRECTIONS_OUTLINED,
                              words("person.directions"), show_way))  # fmt: skip
    if group.is_host and not each.is_me:
        if group.can_host and not each.is_host:
            found.append(item("make_host", ft.Icons.STAR_OUTLINE, words("person.make_host"),
                              control.host.make_host))  # fmt: skip
        found.append(
            item(
                "remove",
                ft.Icons.PERSON_REMOVE_OUTLINED,
                words("person.remove"),
                lambda: control.open_sheet("remove", each.user_id),
                danger=True,
            )
        )
    return found
