"""What several screens are made of."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import flet as ft

from phone.screens.theme import RADIUS, SHADOW, initials, ink_on, safe_color

Handler = Callable[..., Any]


def doing(act: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """A handler with these arguments: Flet gives its event to every handler that takes one."""

    def do() -> Any:
        return act(*arguments)

    return do


def marked(identifier: str, content: ft.Control, **more: Any) -> ft.Semantics:
    """A stable name for tests: ``flt-semantics-identifier`` on the web, the resource's id on
    Android, the accessibility identifier on iOS.
    """
    return ft.Semantics(identifier=identifier, content=content, **more)


def avatar(name: str, color: str, size: float = 40, *, ring: str = "#FFFFFF") -> ft.Container:
    """A disc in somebody's colour, with their initials."""
    color = safe_color(color)
    return ft.Container(
        width=size,
        height=size,
        border_radius=size / 2,
        bgcolor=color,
        border=ft.Border.all(max(size / 16, 2), ring),
        alignment=ft.Alignment.CENTER,
        content=ft.Text(
            initials(name), size=size * 0.36, color=ink_on(color), weight=ft.FontWeight.W_600,
            no_wrap=True,
        ),
    )  # fmt: skip


def title(text: str, size: float = 26) -> ft.Control:
    """The heading of a screen."""
    return ft.Semantics(header=True, content=ft.Text(text, size=size, weight=ft.FontWeight.W_700))


def soft(text: str, size: float = 14) -> ft.Text:
    """Secondary text."""
    return ft.Text(text, size=size, color=ft.Colors.ON_SURFACE_VARIANT)


def problem(text: str) -> ft.Control:
    """Why something did not work."""
    return ft.Container(
        visible=bool(text),
        bgcolor=ft.Colors.ERROR_CONTAINER,
        border_radius=12,
        padding=ft.Padding.symmetric(horizontal=14, vertical=10),
        content=marked(
            "problem", ft.Text(text, color=ft.Colors.ON_ERROR_CONTAINER), live_region=True
        ),
    )


def primary(
    key: str, text: str, on_click: Handler, *, busy: bool = False, danger: bool = False
) -> ft.Control:
    """The button that a screen is for."""
    return marked(
        key,
        ft.FilledButton(
            content=ft.Text(text, size=16, weight=ft.FontWeight.W_600),
            key=key,
            height=52,
            disabled=busy,
            on_click=on_click,
            style=ft.ButtonStyle(
                shape=ft.RoundedRectangleBorder(radius=RADIUS),
                elevation=0,
                bgcolor={
                    ft.ControlState.DISABLED: ft.Colors.SURFACE_CONTAINER_HIGH,
                    ft.ControlState.DEFAULT: ft.Colors.ERROR if danger else ft.Colors.PRIMARY,
                },
            ),
        ),
    )


def quiet(key: str, text: str, on_click: Handler, icon: ft.IconData | None = None, *,
          danger: bool = False) -> ft.Control:  # fmt: skip
    """Any other button."""
    color = ft.Colors.ERROR if danger else ft.Colors.PRIMARY
    return marked(
        key,
        ft.TextButton(
            content=ft.Text(text, size=15, color=color, weight=ft.FontWeight.W_600),
            icon=icon,
            icon_color=color,
            key=key,
            height=48,
            on_click=on_click,
            style=ft.ButtonStyle(
                shape=ft.RoundedRectangleBorder(radius=12),
                # Those with a picture stand in a list.
                alignment=ft.Alignment.CENTER_LEFT if icon else None,
            ),
        ),
    )


def round_button(key: str, icon: ft.IconData, label: str, on_click: Handler, *,
                 chosen: bool = False) -> ft.Control:  # fmt: skip
    """A button over the map."""
    return marked(
        key,
        ft.Container(
            border_radius=24,
            bgcolor=ft.Colors.PRIMARY if chosen else ft.Colors.SURFACE,
            shadow=SHADOW,
            content=ft.IconButton(
                icon=icon,
                key=key,
                tooltip=label,
                width=48,
                height=48,
                icon_size=22,
                icon_color=ft.Colors.ON_PRIMARY if chosen else ft.Colors.ON_SURFACE,
                on_click=on_click,
            ),
        ),
    )


def field(key: str, label: str, value: str, on_change: Handler, **more: Any) -> ft.Control:
    """A field for text; ``on_change`` is given the text."""
    return marked(
        key,
        ft.TextField(
            key=key,
            label=label,
            value=value,
            border={
                ft.ControlState.FOCUSED: _outline(ft.Colors.PRIMARY, 2),
                ft.ControlState.DEFAULT: _outline(ft.Colors.OUTLINE_VARIANT, 1),
            },
            filled=True,
            fill_color=ft.Colors.SURFACE_CONTAINER,
            on_change=lambda event: on_change(event.control.value or ""),
            **more,
        ),
    )


def _outline(color: ft.ColorValue, width: float) -> ft.OutlineInputBorder:
    return ft.OutlineInputBorder(side=ft.BorderSide(width, color), border_radius=12)


def choice(key: str, selected: str, options: Sequence[tuple[str, str]],
           on_change: Handler) -> ft.Control:  # fmt: skip
    """One of a few; ``on_change`` is given its value."""

    async def changed(event: ft.Event[ft.SegmentedButton]) -> None:
        result = on_change(next(iter(event.control.selected), selected))
        if inspect.isawaitable(result):
            await result

    return marked(
        key,
        ft.SegmentedButton(
            key=key,
            selected=[selected],
            show_selected_icon=False,
            segments=[
                ft.Segment(value=value, label=ft.Text(text, size=13)) for value, text in options
            ],
            on_change=changed,
        ),
    )


def card(*controls: ft.Control, spacing: float = 12) -> ft.Control:
    """What belongs together."""
    return ft.Container(
        bgcolor=ft.Colors.SURFACE,
        border_radius=20,
        padding=18,
        content=ft.Column(
            [*controls], spacing=spacing, horizontal_alignment=ft.CrossAxisAlignment.STRETCH
        ),
    )


def page_of(*controls: ft.Control, bar: ft.Control | None = None) -> ft.Control:
    """A screen that scrolls, as wide as is good to read."""
    column = ft.Column(
        [
            ft.Container(
                content=ft.Column(
                    [*controls], spacing=14, horizontal_alignment=ft.CrossAxisAlignment.STRETCH
                ),
                padding=ft.Padding.symmetric(horizontal=18, vertical=14),
                width=560,
            )
        ],
        scroll=ft.ScrollMode.AUTO,
        expand=True,
        horizontal_alignment=ft.CrossAxisAlignment.CENTER,
    )
    return ft.Container(
        expand=True,
        bgcolor=ft.Colors.SURFACE_CONTAINER_LOW,
        content=ft.SafeArea(
            expand=True,
            content=ft.Column([*([bar] if bar else []), column], expand=True, spacing=0),
        ),
    )


def back_bar(text: str, label: str, on_back: Handler) -> ft.Control:
    """The head of a screen that one goes back from."""
    return ft.Container(
        padding=ft.Padding.only(left=6, right=18, top=6),
        content=ft.Row(
            [
                marked(
                    "back",
                    ft.IconButton(
                        icon=ft.Icons.ARROW_BACK, key="back", tooltip=label, on_click=on_back
                    ),
                ),
                title(text, 22),
            ],
            spacing=4,
        ),
    )


def sheet(heading: str, controls: Sequence[ft.Control], close_label: str,
          on_close: Handler) -> ft.Control:  # fmt: skip
    """Something over the map, from below; a press beside it closes it."""
    return ft.Stack(
        expand=True,
        controls=[
            ft.Container(
                left=0, top=0, right=0, bottom=0,
                bgcolor=ft.Colors.with_opacity(0.42, "#121C19"),
                on_click=on_close,
            ),
            ft.Container(
                left=0, right=0, bottom=0,
                alignment=ft.Alignment.BOTTOM_CENTER,
                content=ft.Container(
                    width=560,
                    bgcolor=ft.Colors.SURFACE,
                    border_radius=ft.BorderRadius.only(top_left=24, top_right=24),
                    shadow=SHADOW,
                    content=ft.SafeArea(
                        avoid_intrusions_top=False,
                        content=ft.Container(
                            padding=ft.Padding.only(left=22, right=14, top=14, bottom=18),
                            content=ft.Column(
                                [
                                    ft.Row(
                                        [
                                            ft.Container(title(heading, 21), expand=True),
                                            marked("close", ft.IconButton(
                                                icon=ft.Icons.CLOSE, key="close",
                                                tooltip=close_label, on_click=on_close,
                                            )),
                                        ],
                                    ),
                                    ft.Container(
                                        padding=ft.Padding.only(right=8),
                                        content=ft.Column(
                                            [*controls], spacing=12, tight=True,
                                            horizontal_alignment=ft.CrossAxisAlignment.STRETCH,
                                        ),
                                    ),
                                ],
                                spacing=6, tight=True,
                            ),
                        ),
                    ),
                ),
            ),
        ],
    )  # fmt: skip
