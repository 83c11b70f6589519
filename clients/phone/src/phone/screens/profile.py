"""Name and colour: who one is for the others."""

from collections.abc import Callable

import flet as ft

from phone.i18n import Words
from phone.screens.parts import avatar, field, soft
from phone.settings import COLOR_NAMES, COLORS


def profile(words: Words, name: str, set_name: Callable[[str], None], color: str,
            set_color: Callable[[str], None]) -> ft.Control:  # fmt: skip
    """The fields, with what the others will see."""
    return ft.Column(
        [
            ft.Row(
                [
                    avatar(name, color, 52, ring=ft.Colors.SURFACE),
                    ft.Container(
                        expand=True,
                        content=field(
                            "name", words("join.name"), name, set_name, max_length=100, counter="",
                            capitalization=ft.TextCapitalization.WORDS, autocorrect=False,
                        ),
                    ),
                ],
                spacing=12,
            ),
            soft(words("join.color")),
            ft.Row(
                [
                    _swatch(words(f"color.{label}"), each, each == color, set_color)
                    for each, label in zip(COLORS, COLOR_NAMES, strict=True)
                ],
                wrap=True, spacing=5, run_spacing=6,
            ),
        ],
        spacing=10,
        horizontal_alignment=ft.CrossAxisAlignment.STRETCH,
    )  # fmt: skip


def _swatch(label: str, color: str, chosen: bool, choose: Callable[[str], None]) -> ft.Control:
    return ft.Semantics(
        label=label,
        button=True,
        selected=chosen,
        content=ft.Container(
            key=f"color-{color}",
            width=34,
            height=34,
            border_radius=17,
            bgcolor=color,
            alignment=ft.Alignment.CENTER,
            content=ft.Icon(ft.Icons.CHECK, color="#FFFFFF", size=18) if chosen else None,
            on_click=lambda: choose(color),
        ),
    )
