"""A small actor runtime on Trio, after OTP: actors, refs, mailboxes, calls, monitors, names.

An :class:`Actor` is a task that owns its state and handles one message at a time. The rest of the
program holds an :class:`ActorRef` and sends: ``call`` (with a reply and a timeout), ``cast``,
``info``, ``offer`` (no wait, says whether it was taken), ``deliver`` (waits for room). Actors are
started by a supervisor (:mod:`locshare.supervisor`), or in tests by :func:`open_actor_nursery`.

Knows nothing of the rest of this program and imports nothing of it; needs Trio only.
"""

from locshare.actors.actor import Actor, InitResult, Timer
from locshare.actors.actor_ref import ActorRef
from locshare.actors.handlers import HandlerResult, on_call, on_cast, on_info
from locshare.actors.mailbox import MailboxHeir, MailboxSpec, Offer, Overflow
from locshare.actors.nursery import ActorNursery, open_actor_nursery
from locshare.actors.reasons import (
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    ActorDown,
    ActorError,
    ActorReused,
    BadReturn,
    CallTimeout,
    CallToSelf,
    Crash,
    Exited,
    ExitReason,
    InitTimeout,
    MailboxFull,
    NoProc,
    Shutdown,
    StartError,
    UnhandledMessage,
    WrongThread,
)
from locshare.actors.ref import Down, LinkExit, Monitor, Ref
from locshare.actors.registry import AlreadyRegistered, Name, Registry
from locshare.actors.reply import IGNORE, NO_REPLY, Continue, NoReply, ReplyTo, Request, StopActor
from locshare.actors.threads import FromThread

__all__ = [
    "IGNORE",
    "KILLED",
    "NOPROC",
    "NORMAL",
    "NO_REPLY",
    "SHUTDOWN",
    "Actor",
    "ActorDown",
    "ActorError",
    "ActorNursery",
    "ActorRef",
    "ActorReused",
    "AlreadyRegistered",
    "BadReturn",
    "CallTimeout",
    "CallToSelf",
    "Continue",
    "Crash",
    "Down",
    "ExitReason",
    "Exited",
    "FromThread",
    "HandlerResult",
    "InitResult",
    "InitTimeout",
    "LinkExit",
    "MailboxFull",
    "MailboxHeir",
    "MailboxSpec",
    "Monitor",
    "Name",
    "NoProc",
    "NoReply",
    "Offer",
    "Overflow",
    "Ref",
    "Registry",
    "ReplyTo",
    "Request",
    "Shutdown",
    "StartError",
    "StopActor",
    "Timer",
    "UnhandledMessage",
    "WrongThread",
    "on_call",
    "on_cast",
    "on_info",
    "open_actor_nursery",
]
