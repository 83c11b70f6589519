"""A session that one is invited to."""

import flet as ft

from phone.controller import Controller
from phone.screens.parts import back_bar, card, page_of, primary, problem, quiet, soft, title
from phone.screens.profile import profile
from phone.state import AppState


@ft.component
def Join(state: AppState, control: Controller) -> ft.Control:  # noqa: N802 - a component
    """See the module."""
    ft.use_state(state)
    words, invitation = state.words, state.invitation
    name, set_name = ft.use_state(state.settings.name)
    color, set_color = ft.use_state(state.settings.color)
    if invitation is None:
        return page_of(bar=back_bar("", words("action.back"), control.back))

    async def join() -> None:
        await control.entrance.join(name, color)

    async def watch() -> None:
        await control.entrance.join(name, color, watching=True)

    count = invitation.count
    who = words("join.count", n=count) if count else words("join.nobody")
    ends = words("join.ends", left=words.left(invitation.expires_at - state.now))
    notes = [soft(f"{who} {ends}", 15)]
    if invitation.is_host:
        notes.append(soft(words("join.host"), 15))
    if invitation.locked and not invitation.is_host:
        notes.append(soft(words("join.locked"), 15))
    return page_of(
        title(invitation.name, 28),
        *notes,
        problem(state.problem),
        card(
            profile(words, name, set_name, color, set_color),
            primary("join", words("join.submit"), join, busy=state.busy),
            quiet("watch", words("join.watch"), watch, disabled=state.busy),
        ),
        bar=back_bar("", words("action.back"), control.back),
    )
