"""How a connection begins and ends: one table of states, events and actions. Pure.

::

    HANDSHAKE ──answered──► ANSWERING ──upgraded──► OPEN ─────────────────┐
        │                       │                     │ close, close_slow │ peer_closed
        │                       │                     ▼                   ▼
        │                       │                  CLOSING ──────► CLOSE_RECEIVED
        │                       │                     │ drained  peer_    │
        │                       │                     ▼          closed   │
        └───────rejected────────┴──────────────► CLOSE_SENT               │ drained
                                                      │ peer_closed       │
                                                      ▼                   │
                                                   CLOSED ◄───────────────┘

    From every state peer_gone, write_failed (where something may be written) and abort (the
    deadline) lead to CLOSED. A close before OPEN refuses the request; after the first close a
    further one changes nothing.

The states are those of RFC 6455 section 7 and, for the same reason, close to TCP's: CLOSING is
FIN-WAIT-1, CLOSE_SENT is FIN-WAIT-2, CLOSE_RECEIVED is LAST-ACK. What the table guarantees:

* One close frame is written, the last of all frames, and the writing side is shut only behind it.
* The server closes the TCP connection first, as section 7.1.1 asks, once it has both sent a close
  frame and received one.
* No message is handed out after :attr:`Action.STOP`. What the peer sent before its own
  close frame counts; what it sent before it heard of ours does not.

Everything that decides about closing is in :data:`TRANSITIONS`. :class:`Lifecycle` holds the state
of one connection; :class:`locshare.connection.connection.Connection` feeds it and carries out the
actions, which may in turn cause further events (a close frame that is written at once is *drained*
before the feeding of *close* has returned).
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final, final

from locshare.model.errors import LocshareError
from locshare.model.reasons import CloseReason


class State(Enum):
    """How far a connection has come."""

    HANDSHAKE = auto()
    """The request to upgrade is read and decided."""
    ANSWERING = auto()
    """The answer to it is being written."""
    OPEN = auto()
    """Messages go both ways."""
    CLOSING = auto()
    """Our close frame is queued behind what waits. The peer's has not come."""
    CLOSE_SENT = auto()
    """All is written and the writing side is shut. The peer's close frame, or the end of its
    stream, is awaited."""
    CLOSE_RECEIVED = auto()
    """The peer's close frame came. What waits is still written, ours last."""
    CLOSED = auto()
    """Nothing is read or written any more; the socket may be closed."""


class Event(Enum):
    """What can happen to a connection."""

    ANSWERED = auto()
    """Whether to upgrade is decided."""
    UPGRADED = auto()
    """101 was written."""
    REJECTED = auto()
    """A refusal was written, and nothing will follow it."""
    CLOSE = auto()
    """We close it: a session, the pool, the rate policy, or a violation of the protocol."""
    CLOSE_SLOW = auto()
    """We give up a peer that reads too slowly."""
    PEER_CLOSED = auto()
    """The peer's close frame came."""
    PEER_GONE = auto()
    """The peer's stream has ended, or was reset."""
    WRITE_FAILED = auto()
    """The socket refuses what is written."""
    DRAINED = auto()
    """All that waited is written."""
    CRASHED = auto()
    """The connection's task raised: a bug."""
    ABORT = auto()
    """The deadline of the closing handshake has passed, the task was cancelled, or writing raised
    what no socket raises."""


class Action(Enum):
    """What the socket's owner has to do, in the order given."""

    REFUSE = auto()
    """Stop waiting for the request and refuse it."""
    STOP = auto()
    """Hand out no message any more, also none that has been read; take no frame any more."""
    START_LINGER = auto()
    """Set the deadline of the closing handshake."""
    QUEUE_CLOSE = auto()
    """Drop the positions that wait and queue our close frame behind the events."""
    QUEUE_CLOSE_ALONE = auto()
    """Drop all that waits but a frame already begun, and queue our close frame."""
    SHUT_WRITING = auto()
    """Half-close: the peer sees the end of our stream behind the close frame."""
    END = auto()
    """Write nothing more, drop what waits, and end the connection's task."""


S, E, A = State, Event, Action

TRANSITIONS: Final[Mapping[tuple[State, Event], tuple[State, tuple[Action, ...]]]] = (
    MappingProxyType(
        {
            (S.HANDSHAKE, E.ANSWERED): (S.ANSWERING, ()),
            (S.HANDSHAKE, E.REJECTED): (S.CLOSE_SENT, (A.START_LINGER,)),
            (S.HANDSHAKE, E.CLOSE): (S.HANDSHAKE, (A.REFUSE,)),
            (S.HANDSHAKE, E.PEER_GONE): (S.CLOSED, (A.END,)),
            (S.HANDSHAKE, E.CRASHED): (S.CLOSED, (A.END,)),
            (S.HANDSHAKE, E.ABORT): (S.CLOSED, (A.END,)),
            #
            (S.ANSWERING, E.UPGRADED): (S.OPEN, ()),
            (S.ANSWERING, E.REJECTED): (S.CLOSE_SENT, (A.START_LINGER,)),
            (S.ANSWERING, E.CLOSE): (S.CLOSED, (A.END,)),
            (S.ANSWERING, E.PEER_GONE): (S.CLOSED, (A.END,)),
            (S.ANSWERING, E.CRASHED): (S.CLOSED, (A.END,)),
            (S.ANSWERING, E.ABORT): (S.CLOSED, (A.END,)),
            #
            (S.OPEN, E.CLOSE): (S.CLOSING, (A.STOP, A.START_LINGER, A.QUEUE_CLOSE)),
            (S.OPEN, E.CRASHED): (S.CLOSING, (A.STOP, A.START_LINGER, A.QUEUE_CLOSE)),
            (S.OPEN, E.CLOSE_SLOW): (
                S.CLOSING,
                (A.STOP, A.START_LINGER, A.QUEUE_CLOSE_ALONE),
            ),
            (S.OPEN, E.PEER_CLOSED): (
                S.CLOSE_RECEIVED,
                (A.STOP, A.START_LINGER, A.QUEUE_CLOSE),
            ),
            (S.OPEN, E.DRAINED): (S.OPEN, ()),
            (S.OPEN, E.PEER_GONE): (S.CLOSED, (A.STOP, A.END)),
            (S.OPEN, E.WRITE_FAILED): (S.CLOSED, (A.STOP, A.END)),
            (S.OPEN, E.ABORT): (S.CLOSED, (A.STOP, A.END)),
            #
            (S.CLOSING, E.DRAINED): (S.CLOSE_SENT, (A.SHUT_WRITING,)),
            (S.CLOSING, E.PEER_CLOSED): (S.CLOSE_RECEIVED, ()),
            (S.CLOSING, E.CLOSE): (S.CLOSING, ()),
            (S.CLOSING, E.CRASHED): (S.CLOSING, ()),
            (S.CLOSING, E.CLOSE_SLOW): (S.CLOSING, ()),
            (S.CLOSING, E.PEER_GONE): (S.CLOSED, (A.END,)),
            (S.CLOSING, E.WRITE_FAILED): (S.CLOSED, (A.END,)),
            (S.CLOSING, E.ABORT): (S.CLOSED, (A.END,)),
            #
            (S.CLOSE_SENT, E.PEER_CLOSED): (S.CLOSED, (A.END,)),
            (S.CLOSE_SENT, E.CLOSE): (S.CLOSE_SENT, ()),
            (S.CLOSE_SENT, E.CRASHED): (S.CLOSE_SENT, ()),
            (S.CLOSE_SENT, E.PEER_GONE): (S.CLOSED, (A.END,)),
            (S.CLOSE_SENT, E.ABORT): (S.CLOSED, (A.END,)),
            #
            (S.CLOSE_RECEIVED, E.DRAINED): (S.CLOSED, (A.SHUT_WRITING, A.END)),
            (S.CLOSE_RECEIVED, E.CLOSE): (S.CLOSE_RECEIVED, ()),
            (S.CLOSE_RECEIVED, E.CRASHED): (S.CLOSE_RECEIVED, ()),
            (S.CLOSE_RECEIVED, E.CLOSE_SLOW): (S.CLOSE_RECEIVED, ()),
            (S.CLOSE_RECEIVED, E.PEER_GONE): (S.CLOSED, (A.END,)),
            (S.CLOSE_RECEIVED, E.WRITE_FAILED): (S.CLOSED, (A.END,)),
            (S.CLOSE_RECEIVED, E.ABORT): (S.CLOSED, (A.END,)),
            # A session and the pool may close what has ended without knowing it; a read that was
            # under way may find the end of the stream; the task's own end comes last.
            (S.CLOSED, E.CLOSE): (S.CLOSED, ()),
            (S.CLOSED, E.CRASHED): (S.CLOSED, ()),
            (S.CLOSED, E.PEER_GONE): (S.CLOSED, ()),
            (S.CLOSED, E.ABORT): (S.CLOSED, ()),
        }
    )
)
"""State and event to the next state and the actions. A pair that is missing is illegal."""


class IllegalTransition(LocshareError):
    """An event that cannot happen in this state: a bug in the code that feeds the table."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{event.name} cannot happen in {state.name}")
        self.state = state
        self.event = event


@final
class Lifecycle:
    """The state of one connection, and why it left OPEN."""

    __slots__ = ("reason", "state")

    def __init__(self, state: State = State.HANDSHAKE) -> None:
        self.state = state
        self.reason: CloseReason | None = None
        """Why an open connection closes: what came first. None while it is open, and for one that
        never was."""

    def feed(self, event: Event, reason: CloseReason | None = None) -> tuple[Action, ...]:
        """Take ``event`` and return what is to be done. Raises IllegalTransition, and then the
        state is as before.
        """
        try:
            after, actions = TRANSITIONS[self.state, event]
        except KeyError:
            raise IllegalTransition(self.state, event) from None
        if self.state is State.OPEN and after is not State.OPEN:
            self.reason = reason
        self.state = after
        return actions
