"""Argument checks, made before anything has changed.

The checks return the error instead of raising it, because a public coroutine passes a checkpoint
before it raises, as Trio's own do. Otherwise a caller that retries in a loop, on NoProc for
example, would keep every other task from running, including the restart that it waits for.
"""

from math import isnan
from typing import NoReturn

import trio


async def raise_after_checkpoint(error: Exception) -> NoReturn:
    """Raise ``error``, after a checkpoint. Cancelled is raised instead if that is due."""
    await trio.lowlevel.checkpoint()
    raise error


def bad_seconds(field: str, value: object, *, least: float | None = 0.0) -> Exception | None:
    """What is wrong with a number of seconds (infinity is fine), or None."""
    if type(value) is float and value >= (0.0 if least is None else least):
        return None  # the common case
    if not isinstance(value, int | float) or isinstance(value, bool):
        return TypeError(f"{field}: {value!r} is not a number of seconds")
    if isnan(value) or (least is not None and value < least):
        bound = "not NaN" if least is None else f"at least {least:g}"
        return ValueError(f"{field}: {value!r} is not allowed; it must be {bound} seconds")
    return None


def bad_type(field: str, value: object, *legal: type, hint: str = "") -> Exception | None:
    """A TypeError unless ``value`` is of one of the ``legal`` types, else None."""
    if isinstance(value, legal):
        return None
    names = " or ".join("None" if kind is type(None) else kind.__name__ for kind in legal)
    return TypeError(f"{field} must be {names}, not {type(value).__qualname__}{hint}")


def bad_callable(field: str, value: object) -> Exception | None:
    """A TypeError unless ``value`` can be called, else None."""
    if callable(value):
        return None
    hint = "; pass the function itself, and its arguments separately"
    return TypeError(f"{field} must be a function, not {type(value).__qualname__}{hint}")


def raise_if(problem: Exception | None) -> None:
    """Raise ``problem`` unless it is None, in a plain function."""
    if problem is not None:
        raise problem
