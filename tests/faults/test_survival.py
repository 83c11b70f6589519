"""What survives what: each row of docs/architecture.md, on the real program, with people moving."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
import trio

from locshare.ops.control import ControlError, open_control
from locshare.ops.faults import session_actor, session_supervisor
from locshare.ops.inspection.views import TreeSnapshot, Watch
from tests.faults.traffic import (
    DEADLINE_S,
    LOST_S,
    Group,
    Real,
    breaking,
    control_socket,
    eventually,
    faulty_program,
)
from tests.program import Program

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with faulty_program() as started:
        yield started


@pytest.fixture
async def real(program: Program) -> AsyncIterator[Real]:
    async with breaking(program) as given:
        yield given


async def happened(real: Real) -> None:
    """Wait until what was to break has broken."""

    async def is_over() -> bool:
        return await real.faults.pending() == []

    await eventually(is_over)


# --- a session's handler --------------------------------------------------------------------------


async def test_a_crash_costs_the_message_that_caused_it_and_nothing_else(real: Real) -> None:
    async with real.group() as group, real.group(2) as other:
        actor = session_actor(group.session_id)
        async with group.walking(6 * LOST_S), other.walking():
            for nth in (1, 4, 2):
                await real.faults.crash(actor, nth=nth)
                await happened(real)
            await group.check_snapshot()
        assert await real.restarts(actor) == 3
        assert await real.restarts(session_actor(other.session_id)) == 0
        await group.settled(skipped=3)
        await other.settled()


async def test_a_join_50_ms_after_a_crash_sees_every_participant_and_position(real: Real) -> None:
    async with real.group(5) as group:
        await real.faults.set_budget(session_supervisor(group.session_id), 1000)
        async with group.walking():
            took = []
            for _ in range(5):
                took.append(await real.faults.crash_now(session_actor(group.session_id)))
                await trio.sleep(0.05)
                await group.check_snapshot()
            assert min(took) < 1, "it is not kept waiting"
        await group.settled()  # not one was lost: the message that crashed was made for it


async def test_a_crash_in_the_middle_of_a_flush_leaves_no_receiver_behind(real: Real) -> None:
    async with real.group(5) as group:
        async with group.walking():
            for after in (0, 2, 3):
                await real.faults.crash_telling(group.session_id, "positions", after=after)
                await happened(real)
        assert await real.restarts(session_actor(group.session_id)) == 3
        await group.settled()


async def test_a_crash_during_a_join_does_not_fail_the_join(real: Real) -> None:
    async with real.group(3) as group:
        async with group.walking():
            await real.faults.crash(session_actor(group.session_id), message="Join")
            first = await group.join(patient=False)
            await real.faults.crash_telling(group.session_id, "event")
            second = await group.join(patient=False)
            await real.faults.crash(session_actor(group.session_id), message="Attach")
            async with group.phone() as third:
                assert len(third.snapshot["participants"]) == 6
        assert await real.restarts(session_actor(group.session_id)) == 3
        for phone in group.phones:
            for who in (first["user_id"], second["user_id"], third.user_id):
                await phone.event("participant_joined", user_id=who)
            joined = [data["user_id"] for kind, data in phone.events if kind[-6:] == "joined"]
            assert len(joined) == len(set(joined)), "somebody was told twice"
        await group.settled(skipped=0)


async def test_a_crash_in_terminate_changes_nothing(real: Real) -> None:
    async with real.group() as group:
        actor = session_actor(group.session_id)
        async with group.walking():
            await real.faults.crash_terminate(actor)
            await real.faults.crash_now(actor)
        await group.settled()
        assert await real.restarts(actor) == 1


async def test_a_start_that_fails_is_tried_again_within_the_budget(real: Real) -> None:
    async with real.group() as group:
        actor = session_actor(group.session_id)
        async with group.walking():
            await real.faults.fail_start(actor, times=2)
            await real.faults.crash_now(actor)
        await group.settled()
        assert await real.restarts(actor) == 3


async def test_a_session_that_keeps_crashing_ends_and_no_other_notices(real: Real) -> None:
    async with real.group() as group, real.group() as other:
        async with other.walking():
            await real.faults.crash(session_actor(group.session_id), times=4)
            for _ in range(4):
                await group.phones[0].move()
                await trio.sleep(0.1)
            for phone in group.phones:
                await phone.event("session_ended", reason="internal_error")
                await phone.until(lambda p=phone: p.closed is not None)
                assert phone.closed == 4410
            answer = await real.post(f"/api/sessions/{group.session_id}/join", display_name="Ada")
            assert answer.status_code == 410
        await other.settled()


async def test_a_handler_that_is_slow_holds_up_its_own_session_alone(real: Real) -> None:
    async with real.group() as group, real.group() as other:
        seen = other.phones[0].seen[other.phones[1].user_id]
        await real.faults.slow(session_actor(group.session_id), 2 * DEADLINE_S, messages=1)
        async with group.walking(LOST_S), other.walking():
            await other.phones[0].until(lambda: seen and seen[-1] > 5)
            await happened(real)
            # It would go on for long: what is left of the message is lost with its actor.
            await real.faults.kill(session_actor(group.session_id))
        await other.settled()
        await group.settled(skipped=1000)  # the newest position counts


async def test_a_handler_that_hangs_is_ended_by_its_owner_and_the_session_goes_on(
    real: Real,
) -> None:
    async with real.group() as group:
        actor = session_actor(group.session_id)
        await real.faults.slow(actor, 3600)
        async with group.walking(LOST_S):
            await trio.sleep(0.2)
            await real.faults.kill(actor)
        await group.settled(skipped=1000)  # what waited was handled together: the newest counts


async def test_a_full_mailbox_makes_senders_wait_and_loses_nothing(real: Real) -> None:
    async with real.group() as group:
        async with group.walking(LOST_S):
            assert await real.faults.fill_mailbox(session_actor(group.session_id), 0.5) > 900
        await group.settled(skipped=1000)
        assert await real.restarts(session_actor(group.session_id)) == 0


# --- a connection ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["crash", "kill"])
async def test_a_connection_that_dies_costs_itself_and_comes_back(real: Real, how: str) -> None:
    async with real.group() as group, group.phone() as victim:
        async with group.walking():
            if how == "kill":
                await real.faults.kill_connection(victim.user_id)
            else:
                await real.faults.crash_connection(victim.user_id)
                await victim.move()
            await victim.until(lambda: victim.closed is not None)
            assert victim.closed == {"kill": 1006, "crash": 1011}[how]
            async with group.phone(victim.joined) as again:
                assert {each["user_id"] for each in again.snapshot["participants"]} == {
                    again.user_id, *(phone.user_id for phone in group.phones)
                }  # fmt: skip
        await group.settled()


# --- the parts of the server ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "part", ["sessions", "listener", "api", "store", "flush", "reader", "heartbeat", "reaper"]
)
async def test_when_a_part_of_the_server_dies_no_phone_notices(real: Real, part: str) -> None:
    async with real.group() as group:
        before = await real.restarts(part)

        async def restarted() -> bool:
            return await real.restarts(part) > before

        async with group.walking():
            await real.faults.kill(part)
            await eventually(restarted)
        await group.settled()
        await group.check_snapshot()


async def test_when_the_registry_loses_its_names_no_phone_notices(real: Real) -> None:
    async with real.group() as group, real.group() as other:
        async with group.walking(), other.walking():
            assert await real.faults.lose_names() >= 3
            await trio.sleep(0.3)
        for each in (group, other):
            await each.settled()
            await each.check_snapshot()


async def test_without_the_database_live_sessions_go_on(real: Real) -> None:
    async def created() -> bool:
        return (await real.post("/api/sessions")).status_code == 201

    async with real.group() as group:
        async with group.walking():
            await real.faults.cut_store()
            for path in ("/api/sessions", f"/api/sessions/{group.session_id}/join"):
                answer = await real.post(
                    path, **({"display_name": "Ada"} if "join" in path else {})
                )
                assert answer.status_code == 503
                assert int(answer.headers["Retry-After"]) > 0
            await real.faults.restore_store()
            await eventually(created)
            await group.check_snapshot()
        await group.settled()


async def test_a_slow_database_makes_joining_slow_and_nothing_else(real: Real) -> None:
    async with real.group() as group:
        async with group.walking():
            await real.faults.delay_store(0.4)
            began = trio.current_time()
            await group.join()
            assert trio.current_time() - began >= 0.4
            await real.faults.restore_store()
        await group.settled()


# --- what is around -------------------------------------------------------------------------------


async def test_a_clock_that_is_set_back_ends_nothing(real: Real) -> None:
    async with real.group() as group:
        async with group.walking():
            await real.faults.skew_clock(-3600)
            await group.check_snapshot()
        await group.settled()


async def test_after_the_clock_was_set_forward_an_expired_session_refuses_joins(
    real: Real,
) -> None:
    async with real.group() as group:
        joined = await group.join()
        await real.faults.skew_clock(48 * 3600)
        assert await group.refusal(joined) == 410


async def test_while_memory_is_short_people_go_on(real: Real, program: Program) -> None:
    before = (await real.faults.snapshot()).process.rss

    async def short() -> bool:
        return (await real.faults.snapshot()).process.rss > before + (150 << 20)

    async with real.group() as group, breaking(program) as second:
        async with group.walking(), trio.open_nursery() as nursery:
            nursery.start_soon(second.faults.press_memory, 200, 0.5)
            await eventually(short)
        await group.settled()


async def test_the_task_that_blocks_the_loop_is_named(real: Real, program: Program) -> None:
    async with real.group() as group, open_control(control_socket(program)) as control:
        async with group.walking(LOST_S):
            snapshots = control.stream(Watch(0.1), TreeSnapshot)
            await anext(snapshots)
            await real.faults.block(session_actor(group.session_id), 0.3)
            with trio.fail_after(DEADLINE_S):
                while True:  # on a busy machine another step may be as long, and be named first
                    step = (await anext(snapshots)).process.longest_step
                    if step is not None and step.seconds >= 0.3 and step.message == "Update":
                        break
        await group.settled(skipped=1000)


# --- the socket -----------------------------------------------------------------------------------


async def test_each_fault_is_loud(real: Real, program: Program) -> None:
    assert program.events("faults_can_be_injected")
    assert (await real.faults.snapshot()).process.faults
    async with real.group(1) as group:
        await real.faults.skew_clock(1)
        await real.faults.crash_now(session_actor(group.session_id))
        await real.faults.crash_telling(group.session_id, "event", after=0)
        await group.join()
        assert await real.faults.pending() == ["the wall clock is 1 s off"]
        await real.faults.clear()
        assert await real.faults.pending() == []
    faults = [entry["fault"] for entry in program.events("fault")]
    assert {"SkewClock", "CrashNow", "CrashTelling", "Clear"} <= set(faults)
    assert group.session_id not in "".join(program.raw), "all of it is the join link"


async def test_what_cannot_be_is_refused_with_the_reason(real: Real) -> None:
    faults = real.faults
    for wrong, says in [
        (faults.crash("listener"), "listener is a task"),
        (faults.crash("sessions"), "kill it instead"),
        (faults.crash("sessions/none"), "no child 'none'"),
        (faults.crash("flush", nth=0), r"\$.nth"),
        (faults.block("flush", 3600), r"\$.seconds"),
        (faults.set_budget("flush", 3), "flush is no supervisor"),
        (faults.set_budget(".", -1), r"\$.max_restarts"),
        (faults.kill_connection("nobody"), "nobody is connected"),
        (faults.crash_telling("x", "event"), "session_id"),
        (faults.press_memory(0, 1), r"\$.mebibytes"),
    ]:
        with pytest.raises(ControlError, match=says):
            await wrong


# --- the process ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "code"), [("term", 1012), ("kill", 1006)])
async def test_after_the_end_of_the_process_everybody_comes_back_with_their_tokens(
    how: str, code: int
) -> None:
    with faulty_program() as program:
        async with (
            breaking(program, clear=False) as real,
            real.group() as group,
            trio.open_nursery() as nursery,
        ):
            for phone in group.phones:
                nursery.start_soon(phone.walk, [])
            await trio.sleep(0.3)
            await trio.to_thread.run_sync(program.stop if how == "term" else program.kill)
            for phone in group.phones:
                await phone.until(lambda p=phone: p.closed is not None)
                assert phone.closed == code
        await trio.to_thread.run_sync(program.start)
        again = Group(real, group.session_id)
        async with AsyncExitStack() as stack:
            for phone in group.phones:
                back = await stack.enter_async_context(again.phone(phone.joined))
                assert len(back.snapshot["participants"]) == 3
                again.phones.append(back)
            async with again.walking():
                pass
            await again.settled()
