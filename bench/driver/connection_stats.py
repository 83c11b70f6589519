"""What became of the connections of a run. Pure."""

from collections import Counter

from bench.driver.latency import Histogram


class ConnectionStats:
    """Counted over all people, from the beginning of the run to its end."""

    def __init__(self) -> None:
        self.opened = 0
        self.ends: list[float] = []
        """When connections ended without being asked to."""
        self.refusals: list[float] = []
        """When connections that were asked for did not come about."""
        self.reasons: Counter[str] = Counter()
        """Of both."""
        self.complaints: Counter[str] = Counter()
        """What the server complained of, or said and could not be read."""
        self.connect = Histogram()
        """First connections of visits."""
        self.reconnect = Histogram()
        self.blocked = 0
        """Updates that were not sent because the socket did not take the last one."""
        self.gave_up = 0
        """People who were told that coming back makes no sense."""
        self.unanswered = 0
        """Goodbyes that the server did not answer in time."""
