"""What is not built, compared and sent again while nothing of it changes.

Flet compares each render with the one before, control by control; what is the same object as before
it passes over. With 50 people this is most of what a second costs (``python -m bench.solo.phone``).
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final, TypeVar, cast, final

import flet as ft

C = TypeVar("C", bound=Callable[..., Any])
_memo: Final[Any] = ft.memo


def once(component: C) -> C:
    """``component`` as a child of one that follows the same state: rendered once for a change. Both
    are told of it, in any order, and without this the parent would render the child once more.
    """
    return cast("C", _memo(component))


@final
class Kept:
    """Controls by name, each for as long as its key stays the same. One for each mounted component:
    a control has one place.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Hashable, Any]] = {}

    def get(self, name: str, key: Hashable, make: Callable[[], Any]) -> Any:
        """The control of ``name``. The key has everything that it shows."""
        found = self._kept.get(name)
        if found is None or found[0] != key:
            found = self._kept[name] = key, make()
        return found[1]

    def only(self, names: Iterable[str]) -> None:
        """Forget all others."""
        wanted = {*names}
        for name in [each for each in self._kept if each not in wanted]:
            del self._kept[name]
