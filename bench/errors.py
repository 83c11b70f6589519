"""The error that ends the measurement of one target."""


class NotServing(Exception):
    """A server did not start or stop, cannot be reached, or did not answer as it should."""
