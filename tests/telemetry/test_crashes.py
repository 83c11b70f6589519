"""A crash of a child is in the log with where it happened, without what it was about."""

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import LogCapture

from locshare.actors import Actor
from locshare.supervisor import ChildSpec, SupervisorSpec, open_supervisor
from locshare.telemetry.crashes import log_crash


@pytest.fixture
def lines() -> Iterator[LogCapture]:
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[capture])
    yield capture
    structlog.configure(**before)


class Quoting(Actor):
    """Crashes, and its exception quotes the message."""

    def handle_cast(self, message: object) -> None:
        raise ValueError(f"cannot take {message}")


async def test_a_crash_report_has_types_and_the_stack_and_no_message(
    lines: LogCapture, autojump_clock: object
) -> None:
    spec = SupervisorSpec([ChildSpec("quoting", Quoting)], report=log_crash)
    async with open_supervisor(spec) as root:
        child = root.child("quoting")
        assert child is not None
        child.cast("52.520008")  # type: ignore[attr-defined]  # it is an actor
        await child.wait_exit()
    (entry,) = [line for line in lines.entries if line["event"] == "child_crash"]
    assert entry["child"] == "quoting"
    assert entry["reason"] == "crash: ValueError"
    assert entry["handling"] == "str"
    assert "handle_cast" in entry["stack"]
    assert "52.520008" not in str(entry)
