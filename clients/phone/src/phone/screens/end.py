"""A session that is over for this device."""

import flet as ft

from phone.controller import Controller
from phone.screens.parts import page_of, primary, problem, quiet, soft, title
from phone.state import AppState


@ft.component
def Ended(state: AppState, control: Controller) -> ft.Control:  # noqa: N802 - a component
    """See the module."""
    ft.use_state(state)
    words, end = state.words, state.end
    if end is None:
        return page_of()
    again = "end.here" if end.title == "end.replaced" else "end.again"
    enter_again = control.entrance.again
    return page_of(
        ft.Container(height=60),
        ft.Row(
            [
                ft.Container(
                    width=72, height=72, border_radius=36, bgcolor=ft.Colors.PRIMARY_CONTAINER,
                    alignment=ft.Alignment.CENTER,
                    content=ft.Icon(
                        ft.Icons.LOCATION_OFF_OUTLINED, size=34,
                        color=ft.Colors.ON_PRIMARY_CONTAINER,
                    ),
                )
            ],
            alignment=ft.MainAxisAlignment.CENTER,
        ),
        ft.Row([title(words(end.title))], alignment=ft.MainAxisAlignment.CENTER, wrap=True),
        ft.Row([soft(words(end.text), 15)], alignment=ft.MainAxisAlignment.CENTER, wrap=True),
        problem(state.problem),
        ft.Container(height=12),
        *([primary("again", words(again), enter_again, busy=state.busy)] if end.link else []),
        quiet("home", words("end.create"), lambda: control.go("home")),
    )  # fmt: skip
