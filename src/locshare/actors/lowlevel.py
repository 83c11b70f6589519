"""What supervisors, debuggers and fault injectors are built from, in the manner of `trio.lowlevel`.

An application needs none of this. :mod:`locshare.supervisor` imports only this module and
:mod:`locshare.actors`; another kind of supervisor can do the same. These names are part of the
public interface. The modules behind them are not.

An :class:`Incarnation` is one life of an actor (:class:`ActorIncarnation`) or of a plain async
function (:class:`TaskIncarnation`): make it, set its ``on_started`` and ``on_exit``, ``launch`` it
in a nursery, ``request_stop`` or ``kill`` it, await ``wait_started`` and ``wait_exit``.
"""

from locshare.actors.actor_ref import M
from locshare.actors.checks import (
    bad_callable,
    bad_seconds,
    bad_type,
    raise_after_checkpoint,
    raise_if,
)
from locshare.actors.clock import CallAt, Clock, current_clock
from locshare.actors.debug import MessageKind
from locshare.actors.frames import clear_finished_frames
from locshare.actors.incarnation import DEFAULT_GRACE, Incarnation, Status, incarnation_of
from locshare.actors.inject import fail_init, fill_mailbox, post
from locshare.actors.introspect import on_handled, statistics
from locshare.actors.loop import ActorIncarnation, actor_incarnation_of, incarnation_in
from locshare.actors.nursery import (
    raise_most_severe,
    register_name,
    run_in_shield,
    start_failure,
    wait_until_started,
)
from locshare.actors.task import TaskIncarnation

__all__ = [
    "DEFAULT_GRACE",
    "ActorIncarnation",
    "CallAt",
    "Clock",
    "Incarnation",
    "M",
    "MessageKind",
    "Status",
    "TaskIncarnation",
    "actor_incarnation_of",
    "bad_callable",
    "bad_seconds",
    "bad_type",
    "clear_finished_frames",
    "current_clock",
    "fail_init",
    "fill_mailbox",
    "incarnation_in",
    "incarnation_of",
    "on_handled",
    "post",
    "raise_after_checkpoint",
    "raise_if",
    "raise_most_severe",
    "register_name",
    "run_in_shield",
    "start_failure",
    "statistics",
    "wait_until_started",
]
