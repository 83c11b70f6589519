"""What is wrong with a report that holds no position."""

import re
from typing import Final

import msgspec

from locshare.model.errors import LocshareError


class InvalidReport(LocshareError):
    """``field`` says where, as the sender named it; None if the report cannot be read at all.
    ``message`` never quotes a value.
    """

    def __init__(self, field: str | None, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")


def invalid(error: msgspec.ValidationError) -> InvalidReport:
    """msgspec's ``Expected … - at `$.path` `` as an error of that field."""
    message, _, path = str(error).partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    missing = _MISSING.match(message)
    if missing is None:
        return InvalidReport(path, message)
    return InvalidReport(f"{path}.{missing[1]}" if path else missing[1], "Required")
