"""Settings, and the hidden screen that chooses the server."""

import flet as ft

from phone.controller import Controller
from phone.i18n import NAMES
from phone.maps import choices
from phone.screens.parts import (
    back_bar,
    card,
    choice,
    doing,
    field,
    heading,
    marked,
    page_of,
    primary,
    problem,
    soft,
    switch,
)
from phone.state import AppState

VERSION = "0.1.0"


@ft.component
def SettingsScreen(state: AppState, control: Controller) -> ft.Control:  # noqa: N802 - a component
    """What a person may choose; a tap on the version, seven times, opens :func:`ServerScreen`."""
    ft.use_state(state)
    words, settings, chosen = state.words, state.settings, control.preferences
    auto = words("settings.auto")
    return page_of(
        card(
            switch("blurred", words("settings.blur"), words("settings.blur.hint"),
                   settings.blurred, chosen.set_blurred),
        ),
        card(
            switch("awake", words("settings.awake"), words("settings.awake.hint"),
                   settings.keep_awake, chosen.set_awake),
        ),
        card(
            heading(words("settings.saving")),
            choice("saving", settings.saving,
                   [("auto", auto), ("on", words("settings.on")), ("off", words("settings.off"))],
                   control.set_saving),
            soft(words("settings.saving.hint"), 13),
        ),
        card(
            heading(words("settings.scheme")),
            choice("scheme", settings.scheme,
                   [("auto", auto), ("light", words("settings.light")),
                    ("dark", words("settings.dark"))],
                   chosen.set_scheme),
        ),
        card(
            heading(words("settings.map")),
            choice("map_choice", settings.map_choice,
                   [(each, words(f"map.type.{each}")) for each in choices(state.maps)],
                   chosen.set_map),
        ),
        card(
            heading(words("settings.units")),
            choice("units", state.units,
                   [("metric", words("settings.metric")), ("imperial", words("settings.imperial"))],
                   chosen.set_units),
        ),
        card(
            heading(words("settings.language")),
            choice("language", settings.language, [("auto", auto), *NAMES.items()],
                   chosen.set_language),
        ),
        ft.Row(
            [
                marked("version", ft.Container(
                    key="version", padding=12, on_click=chosen.tap_version,
                    content=soft(words("settings.version", version=VERSION), 12),
                ))
            ],
            alignment=ft.MainAxisAlignment.CENTER,
        ),
        bar=back_bar(words("menu.settings"), words("action.back"), control.back),
    )  # fmt: skip


@ft.component
def ServerScreen(state: AppState, control: Controller) -> ft.Control:  # noqa: N802 - a component
    """The server on which sessions are created, and its dialect."""
    ft.use_state(state)
    words, backend = state.words, state.backend
    url, set_url = ft.use_state(backend.url)
    dialect, set_dialect = ft.use_state(backend.dialect)
    socket, set_socket = ft.use_state(backend.socket)
    topic, set_topic = ft.use_state(backend.topic)
    named = state.environments.named
    chosen = next((name for name, each in named.items() if each.url == url), None)

    def take(name: str) -> None:
        found = named[name]
        set_url(found.url)
        set_dialect(found.dialect)
        set_socket(found.socket)
        set_topic(found.topic)

    environments = ft.Row(
        [
            marked(f"environment-{name}", ft.Chip(
                key=f"environment-{name}", label=ft.Text(name), selected=name == chosen,
                show_checkmark=False, on_click=doing(take, name),
            ))
            for name in named
        ],
        wrap=True, spacing=8, run_spacing=8,
    )  # fmt: skip
    phoenix = [
        field("socket", words("server.socket"), socket, set_socket,
              hint_text=words("server.socket.hint"), autocorrect=False),
        field("topic", words("server.topic"), topic, set_topic, autocorrect=False),
    ]  # fmt: skip
    return page_of(
        soft(words("server.text")),
        problem(state.problem),
        card(
            heading(words("server.environment")),
            environments,
            field("url", words("server.url"), url, set_url, keyboard_type=ft.KeyboardType.URL,
                  autocorrect=False),
            soft(words("server.dialect")),
            choice("dialect", dialect, [("locshare", "locshare"), ("phoenix", "Phoenix")],
                   set_dialect),
            *(phoenix if dialect == "phoenix" else []),
            primary("save", words("action.save"),
                    lambda: control.preferences.set_backend(url, dialect, socket, topic)),
        ),
        bar=back_bar(words("server.title"), words("action.back"), control.back),
    )  # fmt: skip
