"""The first screen: go back into a session, join one, create one."""

from time import time

import flet as ft

from phone.controller import Controller
from phone.screens.parts import (
    card,
    choice,
    doing,
    field,
    heading,
    mark,
    page_of,
    primary,
    problem,
    quiet,
    soft,
    title,
)
from phone.screens.profile import profile
from phone.state import AppState

HOURS = ("1", "6", "12", "24")


@ft.component
def Home(state: AppState, control: Controller) -> ft.Control:  # noqa: N802 - a component
    """See the module."""
    ft.use_state(state)
    words = state.words
    session_name, set_session_name = ft.use_state("")
    hours, set_hours = ft.use_state("6")
    name, set_name = ft.use_state(state.settings.name)
    color, set_color = ft.use_state(state.settings.color)
    creating, set_creating = ft.use_state(False)

    async def create() -> None:
        await control.entrance.create(session_name, int(hours), name, color)

    async def join() -> None:
        await control.entrance.open_link(state.link)

    def type_link(text: str) -> None:
        state.link = text

    until = words("create.until", time=words.clock(time() + int(hours) * 3600))
    mine = [
        quiet(f"back-{each.session_id}", each.name, doing(control.show, each.session_id),
              ft.Icons.MAP_OUTLINED)
        for each in state.groups
    ]  # fmt: skip
    head = ft.Row(
        [
            mark(44),
            ft.Text("locshare", size=18, weight=ft.FontWeight.W_700, expand=True),
            ft.IconButton(
                icon=ft.Icons.SETTINGS_OUTLINED, key="settings",
                tooltip=words("menu.settings"), on_click=lambda: control.go("settings"),
            ),
        ],
        spacing=12,
    )  # fmt: skip
    link_card = card(
        heading(words("home.join")),
        field(
            "link", words("home.link"), state.link, type_link,
            hint_text=words("home.link.hint"), keyboard_type=ft.KeyboardType.URL,
            autocorrect=False,
            suffix_icon=ft.IconButton(
                icon=ft.Icons.CONTENT_PASTE, key="paste", tooltip=words("home.paste"),
                on_click=control.paste_link,
            ),
        ),
        primary("open", words("home.open"), join, busy=state.busy or not state.link.strip()),
    )  # fmt: skip
    if creating:
        create_card = card(
            heading(words("create.title")),
            profile(words, name, set_name, color, set_color),
            field("session_name", words("create.name"), session_name, set_session_name,
                  hint_text=words("create.name.hint"), max_length=255, counter=""),
            soft(f"{words('create.duration')} · {until}"),
            choice("hours", hours, [(each, words("create.hours", n=int(each))) for each in HOURS],
                   set_hours),
            primary("create", words("create.submit"), create, busy=state.busy),
        )  # fmt: skip
    else:
        create_card = primary("new", words("create.submit"), lambda: set_creating(True))
    return page_of(
        head,
        ft.Container(title(words("app.title"), 30), padding=ft.Padding.only(top=14)),
        soft(words("app.lead"), 15),
        *([card(heading(words("home.mine")), *mine, spacing=2)]
          if mine else []),
        problem(state.problem),
        create_card,
        link_card,
        *([ft.Row([soft(words("home.server", server=state.backend.host), 12)],
                  alignment=ft.MainAxisAlignment.CENTER)]
          if state.settings.backend is not None else []),
    )  # fmt: skip
