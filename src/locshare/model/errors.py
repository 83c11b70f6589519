"""The base of the program's errors."""


class LocshareError(Exception):
    """Base of every error that the program raises on purpose."""
