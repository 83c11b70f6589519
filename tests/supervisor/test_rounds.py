"""Children that end while a restart round waits for others."""

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors.testing import Boom, Finish, Raise, Script
from locshare.actors.testing import crash as crash_and_settle
from locshare.supervisor import DynamicSpec, Strategy, SupervisorSpec, open_supervisor
from locshare.supervisor.testing import TreeJournal, probe, running
from tests.conformance.kit import dynamic

ENDS: dict[str, Any] = {"ends": Finish(), "crashes": Raise(Boom())}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_temporary_child_may_end_while_a_round_stops_another(
    strategy: Strategy, end: str
) -> None:
    journal = TreeJournal()
    slow = Script(terminate_seconds=2)
    spec = SupervisorSpec(
        [
            probe("a", journal),
            probe("t", journal, restart="temporary"),
            probe("slow", journal, slow),
        ],
        strategy=strategy,
        report=journal.reports.append,
    )
    async with open_supervisor(spec) as sup:
        running(sup, "a").cast(Raise(Boom()))
        temporary = running(sup, "t")
        await trio.sleep(1)
        temporary.cast(ENDS[end])
        await temporary.wait_exit()
        await trio.sleep(2)
        assert [(info.id, info.state) for info in sup.which_children()] == [
            ("a", "running"),
            ("slow", "running"),
        ]
    assert journal.lines.count("init a") == journal.lines.count("init slow") == 2


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_child_may_end_while_a_round_starts_another(
    strategy: Strategy, end: str, restart: Any
) -> None:
    """The round that swept it up has started it already, and goes on to one with a slow init."""
    journal = TreeJournal()
    script = Script()
    spec = SupervisorSpec(
        [
            probe("a", journal),
            probe("b", journal, restart=restart),
            probe("slow", journal, script),
        ],
        strategy=strategy,
        report=journal.reports.append,
    )
    async with open_supervisor(spec) as sup:
        script.init_seconds = 2
        await crash_and_settle(running(sup, "a"))
        await trio.sleep(1)
        b = sup.child("b")
        if b is not None:
            running(sup, "b").cast(ENDS[end])
            await b.wait_exit()
        await trio.sleep(10)
        states = {info.id: info.state for info in sup.which_children()}
        stays = restart == "permanent" or (restart == "transient" and end == "crashes")
        expected = {"a": "running", "slow": "running"}
        if restart != "temporary":
            expected["b"] = "running" if stays else "stopped"
        assert states == expected


async def test_a_child_may_end_while_its_dynamic_supervisor_stops_another() -> None:
    journal = TreeJournal()
    async with open_supervisor(SupervisorSpec([DynamicSpec().child("pool")])) as sup:
        pool = dynamic(sup.child("pool"))
        await pool.start_child(probe("slow", journal, Script(terminate_seconds=2)))
        quick = await pool.start_actor(probe("quick", journal, Script(terminate_seconds=1)))
        quick.cast(Raise(Boom()))
        await wait_all_tasks_blocked()
    assert journal.lines.count("ended slow") == journal.lines.count("ended quick") == 1
