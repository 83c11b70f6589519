"""What a spec says reaches the child, and what it leaves out has OTP's default."""

from math import inf
from typing import Any

import pytest
import trio

from locshare.actors import MailboxHeir, Registry
from locshare.actors.testing import Probe
from locshare.supervisor import (
    INFINITY,
    Backoff,
    ChildSpec,
    DynamicSpec,
    SupervisorSpec,
    TaskSpec,
    open_supervisor,
)
from locshare.supervisor.testing import TreeJournal, probe

NAMES: Registry[str] = Registry()
OPTIONS: dict[str, Any] = {
    "restart": "temporary",
    "shutdown": 7.0,
    "init_timeout": 9.0,
    "register": NAMES.name("sup"),
    "backoff": Backoff(),
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("spec", [SupervisorSpec(), DynamicSpec()], ids=["static", "dynamic"])
def test_each_option_of_a_supervisors_child_spec_is_kept(
    spec: SupervisorSpec | DynamicSpec, option: str
) -> None:
    if isinstance(spec, DynamicSpec) and option == "init_timeout":
        return  # its init has nothing to wait for
    child: Any = spec.child
    assert getattr(child("sup", **{option: OPTIONS[option]}), option) == OPTIONS[option]


@pytest.mark.parametrize("option", [*OPTIONS, "heir", "type"])
@pytest.mark.parametrize("kind", ["actor", "task"])
def test_each_option_of_a_child_spec_is_kept(kind: str, option: str) -> None:
    if kind == "task" and option in ("register", "heir", "type"):
        return  # only an actor has a mailbox
    made: Any = ChildSpec if kind == "actor" else TaskSpec
    value = {"heir": MailboxHeir(), "type": "supervisor", **OPTIONS}[option]
    assert getattr(made("a", Probe, **{option: value}), option) == value


@pytest.mark.parametrize("spec", [SupervisorSpec(), DynamicSpec()], ids=["static", "dynamic"])
def test_a_supervisor_is_restarted_always_and_has_all_the_time_to_stop(
    spec: SupervisorSpec | DynamicSpec,
) -> None:
    child = spec.child("sup")
    assert (child.type, child.restart, child.shutdown) == ("supervisor", "permanent", INFINITY)
    assert (child.init_timeout, child.register, child.backoff) == (inf, None, None)


@pytest.mark.parametrize(
    "spec",
    [probe("a", TreeJournal()), TaskSpec("a", trio.sleep_forever, handshake=False)],
    ids=["actor", "task"],
)
def test_a_worker_is_restarted_always_and_has_five_seconds_to_stop(spec: Any) -> None:
    assert (spec.type, spec.restart, spec.shutdown) == ("worker", "permanent", 5.0)
    assert (spec.init_timeout, spec.backoff) == (inf, None)


@pytest.mark.parametrize("spec", [SupervisorSpec(), DynamicSpec()], ids=["static", "dynamic"])
def test_the_budget_is_three_restarts_in_five_seconds(spec: Any) -> None:
    assert (spec.max_restarts, spec.max_seconds, spec.report) == (3, 5.0, None)


async def test_a_root_has_the_name_that_it_was_given() -> None:
    async with open_supervisor(SupervisorSpec(), name="tree") as sup:
        assert sup.name == "tree"
    async with open_supervisor(SupervisorSpec()) as sup:
        assert sup.name == "root"
