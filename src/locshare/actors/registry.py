"""Names: a table from keys to living actors.

Keys are unique, any hashable value, and belong to one ref at a time; one actor may hold several.
Names are freed in the exit path of their holder, before any monitor hears of the death, so they can
be taken over at once. An entry is removed only if it still points at the dying ref, so the end of
the old holder never removes the entry of the new one. A lookup never returns a dead ref. During a
restart it finds none or the new holder, and does not wait (statements 64 to 66).

Everything here but :meth:`Registry.wait` is plain functions: one thread, no lock, no checkpoint.
"""

from collections.abc import Hashable, Iterator
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

import trio

from locshare.actors.actor_ref import ActorRef
from locshare.actors.checks import bad_type, raise_after_checkpoint, raise_if
from locshare.actors.mailbox import Offer
from locshare.actors.reasons import ActorError, NoProc
from locshare.actors.ref import Ref
from locshare.actors.reply import Request

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    M = TypeVarWithDefault("M", default=Any)
else:
    M = TypeVar("M")  # as in locshare.actors.ref

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


class AlreadyRegistered(ActorError):
    """The key is taken. ``holder`` is the ref that holds it; the refused one left no trace."""

    def __init__(self, key: object, holder: Ref) -> None:
        super().__init__("the name is already registered")
        self.key = key
        self.holder = holder


@final
class Registry(Generic[K, M]):
    """One table of names. Make as many as there are kinds of names.

    ``K`` is the type of the keys, ``M`` of what may be cast to every holder: any message, in a
    ``Registry[str]``.
    """

    __slots__ = ("_awaited", "_refs")

    if not TYPE_CHECKING:  # typing's own does not know that M may be left out
        __class_getitem__ = classmethod(GenericAlias)

    def __init__(self) -> None:
        self._refs: dict[K, ActorRef[M]] = {}
        self._awaited: dict[K, trio.lowlevel.ParkingLot] = {}

    def register(self, key: K, ref: ActorRef[M]) -> None:
        """Give ``key`` to ``ref``. Raises AlreadyRegistered with the holder if it is taken, by
        ``ref`` itself too, TypeError for what is no ActorRef or cannot be a key, WrongThread;
        registering a dead ref has no effect.
        """
        raise_if(bad_type("ref", ref, ActorRef))
        ref._incarnation.clock.check_thread()
        holder = self._refs.get(key)
        if holder is not None:
            raise AlreadyRegistered(key, holder)
        if ref.alive:
            self._refs[key] = ref
            ref._incarnation.hold_name(self, key)
            if key in self._awaited:
                self._awaited.pop(key).unpark_all()

    def unregister(self, key: K, ref: ActorRef) -> bool:
        """Free ``key`` if ``ref`` holds it. False if it does not. Raises TypeError, WrongThread."""
        raise_if(bad_type("ref", ref, ActorRef))
        ref._incarnation.clock.check_thread()
        if self._refs.get(key) is not ref:
            return False
        del self._refs[key]
        ref._incarnation.release_name(self, key)
        return True

    def lookup(self, key: K) -> ActorRef[M] | None:
        """The living holder of ``key``, or None."""
        return self._refs.get(key)

    async def wait(self, key: K) -> ActorRef[M]:
        """Wait until ``key`` has a living holder, across a restart for example, and return it. The
        holder may still be in its init. A checkpoint always; no timeout; cancelling the wait leaves
        nothing behind.
        """
        await trio.lowlevel.checkpoint()
        while True:
            holder = self._refs.get(key)
            if holder is not None:
                return holder
            lot = self._awaited.setdefault(key, trio.lowlevel.ParkingLot())
            try:
                await lot.park()
            finally:
                if not lot and self._awaited.get(key) is lot:
                    del self._awaited[key]

    def keys_of(self, ref: ActorRef) -> tuple[K, ...]:
        """The keys that ``ref`` holds here."""
        return tuple(key for key, holder in self._refs.items() if holder is ref)

    def name(self, key: K) -> "Name[K, M]":
        """An address that is looked up anew on every use. Also for a child spec. Raises TypeError
        for what cannot be a key.
        """
        return Name(self, key)

    def free(self, key: K, ref: ActorRef) -> None:
        """The exit path of ``ref`` gives ``key`` back."""
        if self._refs.get(key) is ref:
            del self._refs[key]

    def __len__(self) -> int:
        return len(self._refs)

    def __iter__(self) -> Iterator[K]:
        return iter(tuple(self._refs))

    def __contains__(self, key: object) -> bool:
        return key in self._refs


@final
class Name(Generic[K, M]):
    """A key in a registry, used as an address: it survives restarts, since every use is a fresh
    lookup. During a restart there is no holder. ``M`` as in :class:`Registry`.
    """

    __slots__ = ("key", "registry")

    if not TYPE_CHECKING:  # as in Registry
        __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, registry: Registry[K, M], key: K) -> None:
        raise_if(bad_type("registry", registry, Registry))
        hash(key)  # raises TypeError now, and not at each use
        self.registry = registry
        self.key = key

    def whereis(self) -> ActorRef[M] | None:
        """The living holder, or None."""
        return self.registry.lookup(self.key)

    async def call(self, request: Request[R], timeout: float | None = 5.0) -> R:
        """As :meth:`ActorRef.call`, also when cancelled; NoProc at once if the name has no
        holder. Bound to the holder of that instant: its successor does not answer for it.
        """
        ref = self.registry.lookup(self.key)
        if ref is None:
            await raise_after_checkpoint(NoProc("the holder of a name"))
        return await ref.call(request, timeout)

    def cast(self, message: M) -> None:
        """As :meth:`ActorRef.cast`; dropped if the name has no holder."""
        ref = self.registry.lookup(self.key)
        if ref is not None:
            ref.cast(message)

    def info(self, message: object) -> None:
        """As :meth:`ActorRef.info`; dropped if the name has no holder."""
        ref = self.registry.lookup(self.key)
        if ref is not None:
            ref.info(message)

    def offer(self, message: M) -> Offer:
        """As :meth:`ActorRef.offer`; DEAD if the name has no holder."""
        ref = self.registry.lookup(self.key)
        return Offer.DEAD if ref is None else ref.offer(message)
