"""Subscriptions to telemetry events, and the hub of each supervisor that passes events to them.

A subscription at a supervisor hears everything below it. Each supervisor has a hub that knows the
hub above; an event goes to the listeners of its own supervisor, then to those above.

Cost without a listener: a test per start and exit of a child, nothing per message. Handler spans
use the debug hooks of an actor, which are installed only while a subscription wants spans.

A listener runs inside the task, and often inside the exit path, of the actor that the event is
about: it must be quick and must not await. It cannot harm that actor. A listener that raises is
logged by type and unsubscribed, as in Elixir's `telemetry`. KeyboardInterrupt and SystemExit are
the listener's decision to end the program: they stop the tree in order and leave it.
"""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Final, Protocol, final

from locshare.supervisor.events import Event
from locshare.supervisor.report import logger

Listener = Callable[[Event], None]


@final
class Subscription:
    """One listener at one supervisor. It ends with the supervisor's incarnation."""

    __slots__ = ("_hub", "listener", "spans")

    def __init__(self, hub: "Hub", listener: Listener, spans: bool) -> None:
        self._hub: Hub | None = hub
        self.listener = listener
        self.spans = spans

    @property
    def active(self) -> bool:
        """False after ``cancel``, and after the listener has raised."""
        return self._hub is not None

    def cancel(self) -> None:
        """Stop listening. Idempotent."""
        hub, self._hub = self._hub, None
        if hub is not None:
            hub.remove(self)


class HubOwner(Protocol):
    """What a hub needs of its supervisor."""

    def leave_for(self, error: BaseException) -> None:
        """A listener has raised KeyboardInterrupt, SystemExit or the like."""

    def refresh_spans(self) -> None:
        """The answer of :meth:`Hub.wants_spans` may have changed here and below."""


@final
class Hub:
    """The subscriptions at one supervisor. Small: there is one for each."""

    __slots__ = ("_owner", "_parent", "_subscriptions")

    def __init__(self, parent: "Hub | None", owner: HubOwner) -> None:
        self._parent = parent
        self._owner = owner
        self._subscriptions: tuple[Subscription, ...] = ()  # replaced whole: see `emit`

    def add(self, listener: Listener, spans: bool) -> Subscription:
        """Subscribe ``listener``, to handler spans too if ``spans``."""
        subscription = Subscription(self, listener, spans)
        self._subscriptions += (subscription,)
        if spans:
            self._owner.refresh_spans()
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """End a subscription."""
        self._subscriptions = tuple(
            each for each in self._subscriptions if each is not subscription
        )
        if subscription.spans:
            self._owner.refresh_spans()

    def listening(self) -> bool:
        """Whether there is a listener here or above."""
        hub: Hub | None = self
        while hub is not None:
            if hub._subscriptions:
                return True
            hub = hub._parent
        return False

    def wants_spans(self) -> bool:
        """Whether a listener here or above wants handler spans."""
        return any(each.spans for hub in self._up() for each in hub._subscriptions)

    def emit(self, event: Event, *, span: bool = False) -> None:
        """Pass ``event`` to every listener here and above. Raises nothing."""
        for hub in self._up():
            for subscription in hub._subscriptions:
                if subscription.spans or not span:
                    hub._deliver(subscription, event)

    def _deliver(self, subscription: Subscription, event: Event) -> None:
        try:
            subscription.listener(event)
        except Exception as error:  # noqa: BLE001 - a listener must not harm the actor
            name = type(error).__qualname__
            logger.error("a telemetry listener raised %s and is unsubscribed", name)
            subscription.cancel()
        except BaseException as error:  # noqa: BLE001 - the supervisor carries them on
            subscription.cancel()
            self._owner.leave_for(error)

    def _up(self) -> "Iterator[Hub]":
        hub: Hub | None = self
        while hub is not None:
            yield hub
            hub = hub._parent


#: The hub of the supervisor in whose context this runs; children inherit it.
current_hub: Final[ContextVar[Hub | None]] = ContextVar("supervisor_telemetry", default=None)
