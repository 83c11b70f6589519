"""All checks in their order, each with a deadline; a check that fails is a finding."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final

import trio
from msgspec import Struct

from locshare.config import Settings
from locshare.maintenance.doctor.database import look_at_database
from locshare.maintenance.doctor.findings import Finding, error
from locshare.maintenance.doctor.machine import (
    look_at_clock,
    look_at_disk,
    look_at_files,
    look_at_key,
    look_at_memory,
    look_at_sending,
)
from locshare.maintenance.doctor.page import look_at_map, look_at_page
from locshare.maintenance.doctor.ports import look_at_ports
from locshare.maintenance.doctor.public import DEFAULT_IDLE_S, look_from_outside

CHECK_S: Final = 45.0
"""For one check; that of the public address may also take the time that it is to be idle."""

Look = Callable[[Settings], list[Finding] | Awaitable[list[Finding]] | AsyncIterator[Finding]]


class Check(Struct, frozen=True):
    """``name`` says what is looked at; ``look`` returns, or yields, findings."""

    name: str
    look: Look
    deadline_s: float = CHECK_S


def checks(idle_s: float = DEFAULT_IDLE_S) -> tuple[Check, ...]:
    """From the machine to the outside."""
    return (
        Check("files", look_at_files),
        Check("disk", look_at_disk),
        Check("memory", look_at_memory),
        Check("clock", look_at_clock),
        Check("key", look_at_key),
        Check("sending", look_at_sending),
        Check("page", look_at_page),
        Check("map", look_at_map),
        Check("ports", look_at_ports),
        Check("database", look_at_database),
        Check("public", partial(look_from_outside, idle_s=idle_s), CHECK_S + idle_s),
    )


async def examine(
    settings: Settings,
    found: Callable[[Finding], None],
    began: Callable[[str], None] = lambda _name: None,
    what: tuple[Check, ...] | None = None,
) -> None:
    """Run the checks, one after the other. ``began`` gets the name of each before it runs.

    Raises nothing but cancellation.
    """
    for check in checks() if what is None else what:
        began(check.name)
        try:
            with trio.fail_after(check.deadline_s):
                await _run(check, settings, found)
        except trio.TooSlowError:
            text = f"looking took longer than {check.deadline_s:.0f} s"
            found(error(check.name, text, "See whether the machine is overloaded; ask again"))
        except Exception as failure:  # noqa: BLE001 - never a traceback; the others go on
            text = f"looking failed: {_name_of(failure)}"
            found(error(check.name, text, "Report it: that is a fault of this program"))


async def _run(check: Check, settings: Settings, found: Callable[[Finding], None]) -> None:
    looked = check.look(settings)
    if isinstance(looked, list):
        await trio.lowlevel.checkpoint()
        for each in looked:
            found(each)
    elif isinstance(looked, AsyncIterator):
        async for each in looked:
            found(each)
    else:
        for each in await looked:
            found(each)


def _name_of(failure: BaseException) -> str:
    """The type, of a group the first one's: a text might quote what is secret."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return type(failure).__name__
