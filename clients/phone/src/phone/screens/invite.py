"""The sheet with the session's link: as a QR code, to pass on, to copy."""

import flet as ft

from phone.controller import Controller
from phone.screens.parts import doing, heading, marked, primary, quiet, soft
from phone.state import AppState
from phone.view import Group

CODE_SIZE = 220.0


def invite_sheet(state: AppState, group: Group, control: Controller) -> list[ft.Control]:
    """What stands below the heading."""
    words, inviting = state.words, control.inviting
    link, host_link = inviting.link, inviting.host_link
    copy = doing(inviting.copy, link)
    found: list[ft.Control] = [
        soft(words("invite.locked" if group.locked else "invite.text"), 15),
        _code(state.qr, words("invite.qr")),
        ft.Container(
            bgcolor=ft.Colors.SURFACE_CONTAINER,
            border_radius=12,
            padding=ft.Padding.symmetric(horizontal=14, vertical=12),
            content=marked("join_link", ft.Text(
                link, size=13, selectable=True, text_align=ft.TextAlign.CENTER,
            ), label=words("invite.link")),
        ),
    ]  # fmt: skip
    if inviting.can_share:
        found.append(primary("share", words("action.share"), inviting.share))
        found.append(quiet("copy", words("action.copy"), copy))
    else:
        found.append(primary("copy", words("action.copy"), copy))
    if host_link and group.is_host:
        found += [
            heading(words("invite.host")),
            soft(words("invite.host.text")),
            quiet("copy_host", words("invite.host.copy"), doing(inviting.copy, host_link)),
        ]
    return found


def _code(svg: str, label: str) -> ft.Control:
    """Dark on white by day and by night: not every scanner reads the other way round. The room is
    kept while it is on its way, and the link stands below where a server has none.
    """
    return ft.Row(
        [
            ft.Container(
                width=CODE_SIZE, height=CODE_SIZE, border_radius=16, padding=6,
                bgcolor="#FFFFFF" if svg else ft.Colors.SURFACE_CONTAINER,
                alignment=ft.Alignment.CENTER,
                content=marked("qr", ft.Image(
                    src=svg, width=CODE_SIZE, height=CODE_SIZE, exclude_from_semantics=True,
                ), label=label, image=True) if svg else ft.Icon(
                    ft.Icons.QR_CODE, size=48, color=ft.Colors.OUTLINE_VARIANT,
                ),
            )
        ],
        alignment=ft.MainAxisAlignment.CENTER,
    )  # fmt: skip
