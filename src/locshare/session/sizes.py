"""How much the sessions of a process hold, for metrics: the counterpart of the BEAM's table memory
and mailbox sizes. Reads, and changes nothing.
"""

from collections.abc import Iterable
from sys import getsizeof
from typing import Final

from msgspec import Struct

from locshare.actors import ActorRef
from locshare.actors.introspect import mailbox_size
from locshare.session.table import SessionTable

_TABLE_BYTES: Final = 4_500
"""A table without members."""
_MEMBER_BYTES: Final = 450
"""A member's record, number, presence and clock, with their texts and times."""
_POSITION_BYTES: Final = 300
"""A held position with its numbers and times."""
_EVENT_BYTES: Final = 400
"""An event that is kept for those who come back."""


class Waiting(Struct, frozen=True):
    """The mailboxes of all session actors."""

    actors: int
    messages: int
    fullest: int
    """Messages in the mailbox that has most."""
    capacity: int
    """What each holds."""


def waiting(actors: Iterable[ActorRef | None], capacity: int) -> Waiting:
    """The mailboxes of ``actors``; None stands for one that is being restarted."""
    sizes = [mailbox_size(actor) for actor in actors if actor is not None]
    return Waiting(len(sizes), sum(sizes), max(sizes, default=0), capacity)


def table_bytes(table: SessionTable) -> int:
    """About what a table holds, without its connections: the containers as the interpreter measures
    them, and what an entry of each kind takes. tests/session/test_sizes.py measures that.
    """
    containers = (
        table.roster, table.numbers, table.receivers, table.positions, table.last_heard,
        table.clocks, table.presence, table.lapsed,
    )  # fmt: skip
    return (
        _TABLE_BYTES
        + sum(map(getsizeof, containers))
        + _MEMBER_BYTES * (len(table.roster) + len(table.lapsed))
        + _POSITION_BYTES * len(table.positions)
        + _EVENT_BYTES * len(table.log)
    )
