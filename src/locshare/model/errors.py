"""The base of every error that this program raises."""


class LocshareError(Exception):
    """Base of every error this program raises on purpose."""
