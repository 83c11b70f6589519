"""What several screens are made of."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final

import flet as ft

from phone.screens.theme import RADIUS, SHADOW, initials, ink_on, safe_color

Handler = Callable[..., Any]
MOST_SEGMENT_LETTERS: Final = 44
"""With the room around each: what stands in one line of the narrowest phones."""


def doing(act: Handler, *arguments: Any) -> Handler:
    """A handler with these arguments: Flet gives its event to every handler that takes one, and
    awaits one only if it is a coroutine function itself.
    """
    if inspect.iscoroutinefunction(act):

        async def begin() -> None:
            await act(*arguments)

        return begin

    def do() -> None:
        act(*arguments)

    return do


def marked(identifier: str, content: ft.Control, **more: Any) -> ft.Semantics:
    """A stable name for tests: ``flt-semantics-identifier`` on the web, the resource's id on
    Android, the accessibility identifier on iOS.
    """
    return ft.Semantics(identifier=identifier, content=content, **more)


def mark(size: float) -> ft.Control:
    """The app's own mark."""
    return ft.Image(src="mark.svg", width=size, height=size, exclude_from_semantics=True)


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
          danger: bool = False, disabled: bool = False) -> ft.Control:  # fmt: skip
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
            disabled=disabled,
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
    """One of a few; ``on_change`` is given its value. Many or long ones are chips, which wrap."""
    if sum(len(text) + 4 for _, text in options) > MOST_SEGMENT_LETTERS:
        chips: list[ft.Control] = [
            marked(f"{key}-{value}", ft.Chip(
                key=f"{key}-{value}", label=ft.Text(text, size=14), selected=value == selected,
                show_checkmark=False, on_click=doing(on_change, value),
            ))
            for value, text in options
        ]  # fmt: skip
        return marked(key, ft.Row(chips, wrap=True, spacing=8, run_spacing=8))

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


def switch(key: str, label: str, hint: str, on: bool, on_change: Handler) -> ft.Control:
    """Something that is on or off; ``on_change`` is given which."""

    async def changed(event: ft.Event[ft.Switch]) -> None:
        result = on_change(on=bool(event.control.value))
        if inspect.isawaitable(result):
            await result

    return ft.Row(
        [
            ft.Column(
                [ft.Text(label, size=16, weight=ft.FontWeight.W_600), soft(hint, 13)],
                spacing=4, expand=True,
            ),
            marked(key, ft.Switch(value=on, key=key, on_change=changed), label=label),
        ],
        spacing=14,
    )  # fmt: skip


def item(key: str, icon: ft.IconData, label: str, on_click: Handler, *, hint: str = "",
         danger: bool = False) -> ft.Control:  # fmt: skip
    """One line of a menu."""
    color = ft.Colors.ERROR if danger else ft.Colors.ON_SURFACE
    texts: list[ft.Control] = [
        ft.Text(label, size=16, color=color, weight=ft.FontWeight.W_600, no_wrap=True,
                overflow=ft.TextOverflow.ELLIPSIS)
    ]  # fmt: skip
    if hint:
        texts.append(soft(hint, 13))
    return marked(
        key,
        ft.Container(
            key=key,
            on_click=on_click,
            ink=True,
            border_radius=12,
            padding=ft.Padding.symmetric(horizontal=8, vertical=9 if hint else 13),
            content=ft.Row(
                [
                    ft.Icon(icon, size=22, color=color if danger else ft.Colors.PRIMARY),
                    ft.Column(texts, spacing=1, expand=True, tight=True),
                ],
                spacing=16,
            ),
        ),
        label=f"{label}. {hint}" if hint else label,
        button=True,
    )


def heading(text: str) -> ft.Control:
    """Of a part of a screen."""
    return ft.Semantics(header=True, content=ft.Text(text, size=16, weight=ft.FontWeight.W_600))


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


def sheet(text: str, controls: Sequence[ft.Control], close_label: str,
          on_close: Handler, *, spacing: float = 12) -> ft.Control:  # fmt: skip
    """Something over the map, from below; a press beside it closes it. One that is taller than the
    screen scrolls as a whole: in Flet 1.0.5 whatever scrolls is as tall as it may be.
    """
    head = ft.Row(
        [
            ft.Semantics(container=True, expand=True, content=title(text, 21)),
            marked("close", ft.IconButton(
                icon=ft.Icons.CLOSE, key="close", tooltip=close_label, on_click=on_close,
            )),
        ],
    )  # fmt: skip
    return ft.Container(
        expand=True,
        bgcolor=ft.Colors.with_opacity(0.42, "#121C19"),
        on_click=on_close,
        content=ft.Column(
            [
                ft.Container(
                    width=560,
                    margin=ft.Margin.only(top=48),
                    bgcolor=ft.Colors.SURFACE,
                    border_radius=ft.BorderRadius.only(top_left=24, top_right=24),
                    shadow=SHADOW,
                    on_click=_nothing,
                    content=ft.SafeArea(
                        avoid_intrusions_top=False,
                        content=ft.Container(
                            padding=ft.Padding.only(left=22, right=14, top=14, bottom=18),
                            content=ft.Column(
                                [
                                    head,
                                    ft.Container(
                                        padding=ft.Padding.only(right=8),
                                        content=ft.Column(
                                            [_read_alone(each) for each in controls],
                                            spacing=spacing, tight=True,
                                            horizontal_alignment=ft.CrossAxisAlignment.STRETCH,
                                        ),
                                    ),
                                ],
                                spacing=6, tight=True,
                            ),
                        ),
                    ),
                )
            ],
            scroll=ft.ScrollMode.AUTO,
            alignment=ft.MainAxisAlignment.END,
            horizontal_alignment=ft.CrossAxisAlignment.CENTER,
        ),
    )  # fmt: skip


def _read_alone(control: ft.Control) -> ft.Control:
    """What can be pressed reads out all that is in it as one, unless each part stands alone."""
    return ft.Semantics(
        container=True, content=control, visible=control.visible
    )  # fmt: skip


def _nothing() -> None:
    """A press on a sheet is none beside it."""
