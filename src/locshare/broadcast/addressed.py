"""Events with their addressees: everyone, everyone but one, or one participant. Pure.

The rule that decides an event also decides its audience. Delivery reads nothing from the event: an
event about a participant may be for everyone, and one without any ``user_id`` for one participant.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeVar

from msgspec import Struct

from locshare.model.events import Event

R = TypeVar("R")


class Everyone(Struct, frozen=True):
    """Every connected participant."""


class EveryoneBut(Struct, frozen=True, gc=False):
    """Every connected participant but ``user_id``."""

    user_id: str


class Only(Struct, frozen=True, gc=False):
    """One participant, if connected."""

    user_id: str


Audience = Everyone | EveryoneBut | Only

EVERYONE: Final = Everyone()


class Addressed(NamedTuple):
    """An event and its audience."""

    event: Event
    audience: Audience


def is_addressed_to(audience: Audience, user_id: str) -> bool:
    """Whether ``user_id`` is in ``audience`` while connected."""
    if isinstance(audience, Only):
        return audience.user_id == user_id
    return not isinstance(audience, EveryoneBut) or audience.user_id != user_id


def recipients(audience: Audience, receivers: Mapping[str, R]) -> list[R]:
    """The members of ``audience`` among ``receivers``, which are by user_id, in their order."""
    if isinstance(audience, Only):
        receiver = receivers.get(audience.user_id)
        return [] if receiver is None else [receiver]
    if isinstance(audience, EveryoneBut):
        left_out = audience.user_id
        return [receiver for user_id, receiver in receivers.items() if user_id != left_out]
    return [*receivers.values()]
