"""Counters of the connections of a run. Pure."""

from collections import Counter

from bench.driver.latency import Histogram


class ConnectionStats:
    """Over all users, from the beginning of the run to its end."""

    def __init__(self) -> None:
        self.opened = 0
        self.ends: list[float] = []
        """When connections ended without being asked to."""
        self.refusals: list[float] = []
        """When attempts to connect failed."""
        self.reasons: Counter[str] = Counter()
        """Of both."""
        self.complaints: Counter[str] = Counter()
        """Errors that the server sent, and messages that could not be read."""
        self.connect = Histogram()
        """First connections of visits."""
        self.reconnect = Histogram()
        self.blocked = 0
        """Updates that were skipped because the socket had not taken the one before."""
        self.gave_up = 0
        """Users that must not reconnect."""
        self.received_bytes = 0
        """Of WebSockets, from the server."""
        self.sent_bytes = 0
        self.unanswered = 0
        """Closes that the server did not answer in time."""
