"""What is wrong with a report that holds no position."""

from locshare.model.errors import LocshareError


class InvalidReport(LocshareError):
    """``field`` says where, as the sender named it; None if the report cannot be read at all.
    ``message`` never quotes a value.
    """

    def __init__(self, field: str | None, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message
