"""Actors without a supervisor."""

from typing import Any

import pytest
import trio

from locshare.actors import AlreadyRegistered, MailboxHeir, Registry, open_actor_nursery
from locshare.actors.mailbox import CAST
from locshare.actors.nursery import raise_most_severe
from locshare.actors.testing import Probe


async def test_a_start_under_a_name_that_is_taken_leaves_the_heir_what_it_had() -> None:
    names: Registry[str] = Registry()
    heir = MailboxHeir()
    async with open_actor_nursery() as actors:
        await actors.start(Probe(), register=names.name("a"))
        heir.entries.append((CAST, "waits for the next life"))
        with pytest.raises(AlreadyRegistered):
            await actors.start(Probe(), register=names.name("a"), heir=heir)
        assert list(heir.entries) == [(CAST, "waits for the next life")]
        await actors.start(Probe(), register=names.name("b"), heir=heir)
        assert not heir.entries


CANCELLED = "cancelled"


async def make(kind: Any) -> Any:
    if kind is not CANCELLED:
        return None if kind is None else kind()
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            return error
    raise AssertionError


@pytest.mark.parametrize(
    ("inner", "block", "raised"),
    [
        (None, None, None),
        (OSError, None, OSError),
        (None, OSError, OSError),
        (OSError, LookupError, OSError),
        (OSError, SystemExit, SystemExit),
        (SystemExit, OSError, SystemExit),
        (SystemExit, KeyboardInterrupt, SystemExit),
        (OSError, CANCELLED, OSError),
        (CANCELLED, OSError, OSError),
        (CANCELLED, CANCELLED, CANCELLED),
        (CANCELLED, SystemExit, SystemExit),
    ],
)
async def test_the_worst_error_leaves_and_of_equals_the_inner_one(
    inner: Any, block: Any, raised: Any
) -> None:
    one, other = [await make(kind) for kind in (inner, block)]
    left: BaseException | None = None
    try:
        raise_most_severe(one, other)
    except BaseException as error:  # noqa: BLE001 - that is what is looked at
        left = error
    if raised is None:
        assert left is None
    else:
        assert left is (one if raised is inner else other)


@pytest.mark.parametrize("wrap", [ExceptionGroup, BaseExceptionGroup])
def test_a_group_is_as_bad_as_the_worst_in_it(wrap: Any) -> None:
    error = wrap("g", [OSError()])
    fatal = BaseExceptionGroup("g", [OSError(), BaseExceptionGroup("h", [SystemExit()])])
    with pytest.raises(BaseExceptionGroup) as caught:
        raise_most_severe(error, fatal)
    assert caught.value is fatal
    with pytest.raises(BaseExceptionGroup) as caught:
        raise_most_severe(error, LookupError())
    assert caught.value is error


def test_what_loses_is_kept_as_the_context_but_never_in_a_circle() -> None:
    inner, block = OSError(), LookupError()
    with pytest.raises(OSError, match=r"^$"):
        raise_most_severe(inner, block)
    assert inner.__context__ is block
    echo = LookupError()
    echo.__cause__ = inner = OSError()
    with pytest.raises(OSError, match=r"^$"):
        raise_most_severe(inner, echo)
    assert inner.__context__ is None
    known = inner.__context__ = KeyError()
    with pytest.raises(OSError, match=r"^$"):
        raise_most_severe(inner, ValueError())
    assert inner.__context__ is known
