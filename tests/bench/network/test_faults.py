"""Commands as text: what is written is read again, and what is none says why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.network.faults import (
    BadCommand,
    Command,
    Cut,
    Faults,
    HalfOpen,
    parse,
    parse_address,
    parse_rate,
    parse_seconds,
    parse_share,
    write,
)

seconds = st.floats(0, 1e4)
shares = st.floats(0, 1, exclude_min=True)
faults = st.builds(
    Faults,
    delay_s=seconds,
    jitter_s=seconds,
    rate=st.none() | st.floats(1, 1e9),
    loss=st.floats(0, 1, exclude_max=True),
    stalled=st.booleans(),
    refusing=st.booleans(),
)
commands = (
    faults | st.builds(Cut, st.sampled_from(["rst", "fin"]), shares) | st.builds(HalfOpen, shares)
)


@given(commands)
def test_what_is_written_is_read_again(command: Command) -> None:
    assert parse(write(command)) == command


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("faults", Faults()),
        ("faults delay=100ms jitter=50ms\n", Faults(delay_s=0.1, jitter_s=0.05)),
        ("faults rate=256kbit loss=20%", Faults(rate=32_000, loss=0.2)),
        ("faults stalled refusing", Faults(stalled=True, refusing=True)),
        ("cut", Cut()),
        ("cut 50%", Cut("rst", 0.5)),
        ("cut rst", Cut("rst")),
        ("cut fin 0.25", Cut("fin", 0.25)),
        ("half-open", HalfOpen()),
        ("half-open 10%", HalfOpen(0.1)),
    ],
)
def test_lines_that_people_write(line: str, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "'' is no command"),
        ("stop", "'stop' is no command; there are faults, cut and half-open"),
        ("faults delay", "'' is not a time such as 100ms"),
        ("faults delay=-1s", "'-1s' is not a time such as 100ms"),
        ("faults delay=1e400s", "delay is inf s"),
        ("faults rate=0", "rate is 0.0 bytes/s; it must be 1 or more"),
        ("faults loss=100%", "loss is 1.0; it must be from 0 to less than 1"),
        ("faults stalled=yes", "take no value, but have 'yes'"),
        ("faults speed=1", "'speed' is no fault; there are delay="),
        ("faults delay=1s delay=2s", "delay is given twice"),
        ("cut tcp", "'tcp' is not a share such as 20%"),
        ("cut rst 20% 30%", "'30%' is too much"),
        ("cut 0%", "the share is 0.0; it must be more than 0 and at most 1"),
        ("half-open 101%", "the share is 1.01"),
    ],
)
def test_what_is_no_command_says_why(line: str, why: str) -> None:
    with pytest.raises(BadCommand) as caught:
        parse(line)
    assert why in str(caught.value)


def test_units() -> None:
    assert [parse_seconds(each) for each in ("100ms", "1.5s", "2")] == [0.1, 1.5, 2.0]
    assert [parse_rate(each) for each in ("8bit", "256kbit", "1mbit")] == [1, 32_000, 125_000]
    assert [parse_rate(each) for each in ("5", "5B", "32kB", "2MB")] == [5, 5, 32_000, 2_000_000]
    assert [parse_share(each) for each in ("20%", "0.2", "1")] == [0.2, 0.2, 1.0]


def test_addresses() -> None:
    assert parse_address("127.0.0.1:8081") == ("127.0.0.1", 8081)
    assert parse_address("[::1]:0") == ("::1", 0)
    for wrong in ("8081", ":8081", "host:", "host:http", "host:65536", "host:²"):
        with pytest.raises(BadCommand, match="is no address; write HOST:PORT"):
            parse_address(wrong)
