"""Typed handlers: one method for each type of message.

::

    @dataclass(frozen=True)
    class Add:
        amount: int

    @dataclass(frozen=True)
    class Total(Request[int]):
        pass

    class Counter(Actor[Add]):
        def init(self) -> None:
            self.total = 0

        @on_cast(Add)
        def add(self, message: Add) -> None:
            self.total += message.amount

        @on_call(Total)
        def answer_total(self, request: Total) -> int:
            return self.total

The type checker holds a method to the message that it is registered for and, for a call, to the
reply that the request promises: ``answer_total`` may not return a str. Subclasses of a message
reach the handler of the nearest base class. A message without a handler is treated as the default
``handle_call``, ``handle_cast`` and ``handle_info`` treat it.

A class is either written with these decorators or overrides ``handle_call``, ``handle_cast``,
``handle_info``. An override comes first: what it passes on by ``super()`` reaches the decorated
methods. The lookup is one dictionary access per message; an actor without decorated methods does
not pay for it.
"""

from collections.abc import Awaitable, Callable
from inspect import Parameter, signature
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar, final, overload

from locshare.actors.checks import bad_callable, bad_type, raise_if
from locshare.actors.reply import Continue, NoReply, ReplyTo, Request, StopActor

HandlerResult = Continue | StopActor | None

A = TypeVar("A")
C = TypeVar("C")
R = TypeVar("R")
Q = TypeVar("Q", covariant=True, bound=Request[Any])

#: What a call handler may return instead of the reply.
CallResult = NoReply | Continue | StopActor

Kind = Literal["call", "cast", "info"]

_REGISTERED: Final = "__handled_messages__"


class Handler(NamedTuple):
    """A decorated method, and whether it takes the ``ReplyTo`` of its call."""

    method: Callable[..., Any]
    takes_reply_to: bool


#: By the type of the message.
HandlerTable = dict[type, Handler]


@final
class CallDecorator(Generic[Q]):
    """What :func:`on_call` returns."""

    __slots__ = ("_request",)

    def __init__(self, request: type[Q]) -> None:
        self._request = request

    @overload
    def __call__(
        self: "CallDecorator[Request[R]]", method: Callable[[A, Q], Awaitable[R | CallResult]]
    ) -> Callable[[A, Q], Awaitable[R | CallResult]]: ...
    @overload
    def __call__(
        self: "CallDecorator[Request[R]]",
        method: Callable[[A, Q, ReplyTo[R]], Awaitable[R | CallResult]],
    ) -> Callable[[A, Q, ReplyTo[R]], Awaitable[R | CallResult]]: ...
    @overload
    def __call__(
        self: "CallDecorator[Request[R]]", method: Callable[[A, Q, ReplyTo[R]], R | CallResult]
    ) -> Callable[[A, Q, ReplyTo[R]], R | CallResult]: ...
    @overload
    def __call__(
        self: "CallDecorator[Request[R]]", method: Callable[[A, Q], R | CallResult]
    ) -> Callable[[A, Q], R | CallResult]: ...
    def __call__(self, method: Any) -> Any:
        return _register(method, "call", self._request)


def on_call(request: type[Q]) -> CallDecorator[Q]:
    """Decorate the method that answers calls of this type.

    The method takes the request and, if it has a second parameter, the :class:`ReplyTo`. It returns
    the reply, or ``NO_REPLY``, ``Continue`` or ``StopActor``; it may be ``async``. Raises TypeError
    for what is no subclass of :class:`Request`.
    """
    if not (isinstance(request, type) and issubclass(request, Request)):
        raise TypeError(f"on_call takes a subclass of Request, not {request!r}")
    return CallDecorator(request)


Method = Callable[[A, C], HandlerResult | Awaitable[HandlerResult]]


def on_cast(message: type[C]) -> Callable[[Method[A, C]], Method[A, C]]:
    """Decorate the method that handles casts of this type. Raises TypeError for what is no type."""
    raise_if(bad_type("message", message, type))
    return lambda method: _register(method, "cast", message)


def on_info(message: type[C]) -> Callable[[Method[A, C]], Method[A, C]]:
    """Decorate the method that handles news of this type: ``info``, due timers, :class:`Down`.
    Raises TypeError for what is no type.
    """
    raise_if(bad_type("message", message, type))
    return lambda method: _register(method, "info", message)


F = TypeVar("F", bound=Callable[..., Any])


def _register(method: F, kind: Kind, message: type) -> F:
    raise_if(bad_callable("method", method))
    registered = getattr(method, _REGISTERED, ())
    setattr(method, _REGISTERED, (*registered, (kind, message)))
    return method


def collect(cls: type) -> dict[Kind, HandlerTable]:
    """The tables of ``cls``: its own decorated methods and those that it inherits. A method that is
    overridden keeps its registration. Raises TypeError if two methods handle one type.
    """
    tables: dict[Kind, HandlerTable] = {"call": {}, "cast": {}, "info": {}}
    owners: dict[tuple[Kind, type], str] = {}
    for base in reversed(cls.__mro__):
        for name, method in vars(base).items():
            for kind, message in getattr(method, _REGISTERED, ()):
                owner = owners.setdefault((kind, message), name)
                if owner != name:
                    raise TypeError(
                        f"{cls.__name__}: {owner} and {name} both handle the {kind} "
                        f"{message.__qualname__}"
                    )
    for (kind, message), name in owners.items():
        method = getattr(cls, name)
        tables[kind][message] = Handler(method, kind == "call" and _takes_reply_to(method))
    return tables


def _takes_reply_to(method: Callable[..., object]) -> bool:
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional for each in signature(method).parameters.values()) > 2


def find(table: HandlerTable, message: type) -> Handler | None:
    """The slow path: no handler for exactly this type. Remembers what it finds for a subclass."""
    found = next((table[base] for base in message.__mro__ if base in table), None)
    if found is not None:
        table[message] = found
    return found
