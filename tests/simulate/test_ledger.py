"""The account: every delivery ends in exactly one way."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from locshare.simulate.ledger import Latency, Ledger, latency

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(second: int) -> datetime:
    return NOON + timedelta(seconds=second)


def a_group(*names: str) -> Ledger:
    ledger = Ledger()
    for name in names:
        ledger.add(name)
        ledger.connected(name)
    return ledger


def test_an_update_is_expected_by_everyone_connected_but_its_sender() -> None:
    ledger = a_group("ada", "bo", "cleo")
    ledger.add("dora")
    ledger.sending("ada", at(0), 10.0)
    assert (ledger.sent, ledger.expected, ledger.outstanding) == (1, 2, 2)


def test_an_update_that_arrives_is_received_after_its_latency() -> None:
    ledger = a_group("ada", "bo")
    ledger.sending("ada", at(0), 10.0)
    ledger.receiving("bo", "ada", at(0), 10.5)
    ledger.receiving("bo", "ada", at(0), 10.6)
    assert (ledger.received, ledger.outstanding) == (1, 0)
    assert list(ledger.latencies) == [0.5]


def test_an_update_overtaken_by_a_newer_one_is_skipped() -> None:
    ledger = a_group("ada", "bo")
    ledger.sending("ada", at(0), 10.0)
    ledger.sending("ada", at(1), 11.0)
    ledger.sending("ada", at(2), 12.0)
    ledger.receiving("bo", "ada", at(2), 12.1)
    ledger.close()
    assert (ledger.received, ledger.skipped, ledger.lost) == (1, 2, 0)


def test_an_update_that_never_arrives_is_lost() -> None:
    ledger = a_group("ada", "bo", "cleo")
    ledger.sending("ada", at(0), 10.0)
    ledger.receiving("bo", "ada", at(0), 10.1)
    ledger.close()
    assert (ledger.received, ledger.lost, ledger.expected) == (1, 1, 2)


def test_deliveries_to_or_from_a_lost_connection_are_waived() -> None:
    ledger = a_group("ada", "bo", "cleo")
    ledger.sending("ada", at(0), 10.0)
    ledger.sending("bo", at(0), 10.0)
    ledger.disconnected("ada")
    ledger.sending("bo", at(1), 11.0)
    ledger.close()
    assert (ledger.waived, ledger.lost) == (3, 2)


def test_updates_of_participants_not_simulated_are_foreign() -> None:
    ledger = a_group("ada")
    ledger.receiving("ada", "somebody", at(0), 10.0)
    ledger.receiving("ada", "somebody", at(1), 11.0)
    assert (ledger.foreign, ledger.received) == (2, 0)


def test_percentiles_are_by_the_nearest_rank_in_milliseconds() -> None:
    assert latency([]) == Latency(None, None, None, None)
    assert latency([0.25]) == Latency(250, 250, 250, 250)
    assert latency([0.0012344]).p50 == 1.234, "to the microsecond"
    assert latency([each / 1000 for each in range(100, 0, -1)]) == Latency(50, 95, 99, 100)


class Account(RuleBasedStateMachine):
    """No sequence of events loses count of a delivery."""

    names = st.sampled_from(["ada", "bo", "cleo"])

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.online: set[str] = set()
        self.promised = 0
        self.clock = 0
        self.newest: dict[str, datetime] = {}
        for name in ("ada", "bo", "cleo"):
            self.ledger.add(name)

    @rule(name=names)
    def connect(self, name: str) -> None:
        self.ledger.connected(name)
        self.online.add(name)

    @rule(name=names)
    def disconnect(self, name: str) -> None:
        self.ledger.disconnected(name)
        self.online.discard(name)

    @rule(name=names)
    def send(self, name: str) -> None:
        self.clock += 1
        self.newest[name] = at(self.clock)
        self.ledger.sending(name, at(self.clock), float(self.clock))
        self.promised += len(self.online - {name})

    @rule(receiver=names, sender=names)
    def receive_newest(self, receiver: str, sender: str) -> None:
        if receiver != sender and sender in self.newest:
            self.ledger.receiving(receiver, sender, self.newest[sender], float(self.clock))

    @invariant()
    def every_delivery_is_counted_once(self) -> None:
        assert self.ledger.expected + self.ledger.waived == self.promised


TestAccount = Account.TestCase
