"""Clear the frames of an exception that outlives its crash.

Refs and reports keep exit reasons. The traceback of a crash holds frames, whose local variables are
messages and states. The lines of a traceback are worth keeping; the variables must go.

``traceback.clear_frames`` is not enough. It follows one traceback, while causes, contexts and group
members have their own. Before Python 3.13, ``frame.clear`` also closes a generator or coroutine
that is merely *suspended*, and a traceback can lead through one: a server that caught an error,
passed it to its caller and went on is in the traceback of what the caller raises. Clearing that
frame would end the server from outside, in the middle of an ``await``.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import suppress
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from types import FrameType
from typing import Final

_CAN_BE_SUSPENDED: Final = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR


def chain(error: BaseException) -> Iterator[BaseException]:
    """``error`` and its causes, contexts and group members, each once."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        todo += (each.__cause__, each.__context__)
        if isinstance(each, BaseExceptionGroup):
            todo += each.exceptions


def clear_finished_frames(error: BaseException) -> None:
    """Clear the local variables of every finished frame of ``error``, its causes, contexts and
    group members. Running and suspended frames are left alone.
    """
    for each in chain(error):
        entry = each.__traceback__
        while entry is not None:
            if not _is_suspended(entry.tb_frame):
                with suppress(RuntimeError):  # a running frame, here or in another thread
                    entry.tb_frame.clear()
            entry = entry.tb_next


def _is_suspended(frame: FrameType) -> bool:
    """Whether ``frame.clear`` would close a live generator or coroutine.

    From 3.13 on it refuses to. Before, only the garbage collector knows: the referents of a frame
    whose generator is alive are those of the generator; a finished frame refers to its own code.
    """
    if sys.version_info >= (3, 13) or not frame.f_code.co_flags & _CAN_BE_SUSPENDED:
        return False
    return not any(referent is frame.f_code for referent in gc.get_referents(frame))
