"""The one place that logs what nobody expected while something was served.

By type and place only: the text of an exception may quote what a client sent, and that may be a
name, a session's id, a token or a position. What serves clients uses ``log.exception`` nowhere (a
test holds it to that).
"""

from typing import Final

import structlog

from locshare.telemetry.redaction import stack_of

log = structlog.get_logger()

_MOST_ERRORS: Final = 5
"""Of a group, that are named."""
_MOST_CAUSES: Final = 5


def log_unexpected(event: str, error: BaseException, **known: object) -> None:
    """Write ``event`` with the types of ``error`` (those inside, for a group) and where the first
    one was raised. ``known`` is ours, never a client's.
    """
    leaves = _leaves(error)
    log.error(
        event,
        error=", ".join(_name(each) for each in leaves[:_MOST_ERRORS]),
        stack=stack_of(leaves[0]),
        **known,
    )


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for each in error.exceptions for leaf in _leaves(each)]


def _name(error: BaseException) -> str:
    names = [type(error).__name__]
    while (cause := error.__cause__) is not None and len(names) < _MOST_CAUSES:
        names.append(type(cause).__name__)
        error = cause
    return " from ".join(names)
