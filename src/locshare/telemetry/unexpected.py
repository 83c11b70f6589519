"""The one function that logs unexpected errors while clients are served.

It logs types and places only: the text of an exception may quote what a client sent, such as a
name, a session's id, a token or a position. Code that serves clients never uses ``log.exception``;
a test checks that.
"""

from typing import Final

import structlog

from locshare.telemetry.redaction import stack_of

log = structlog.get_logger()

_MOST_ERRORS: Final = 5
"""Named per group."""
_MOST_CAUSES: Final = 5


def log_unexpected(event: str, error: BaseException, **known: object) -> None:
    """Log ``event`` with the type of ``error`` (of a group, the types inside) and where the first
    was raised. ``known`` must hold nothing that came from a client.
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
