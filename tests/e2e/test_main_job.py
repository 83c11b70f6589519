"""The main job against the real program: its own process, its own PostgreSQL, real sockets."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio

from tests.contract.group import Group, create, pair_of, phone
from tests.phones import BERLIN
from tests.program import Program, data_directory, running_program
from tests.running import LAST_RESORT_S

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with data_directory() as path:
        yield path


@pytest.fixture(scope="module")
def started_once(folder: Path) -> Iterator[Program]:
    with running_program(
        {"LOCSHARE_DATA_DIR": str(folder), "LOCSHARE_LOG_LEVEL": "debug"}
    ) as started:
        yield started


@pytest.fixture
def program(started_once: Program) -> Program:
    """It runs, and has said nothing of this test yet."""
    if not started_once.running:
        started_once.start()
    started_once.log.clear()
    started_once.raw.clear()
    return started_once


@asynccontextmanager
async def group_of(program: Program) -> AsyncIterator[Group]:
    async with httpx.AsyncClient(base_url=program.http_url, timeout=LAST_RESORT_S) as http:
        yield await create(http, name="Überlandfahrt 🏍")


async def test_a_group_sees_itself_live_until_the_host_ends_it(program: Program) -> None:
    async with group_of(program) as group:
        assert group.created["join_link"] == f"{program.http_url}/join/{group.id}"
        ada, bo = await group.join("Ada"), await group.join("Bō", headers=group.host)
        async with pair_of(ada, bo) as (first, second):
            await first.move()
            seen = await second.next()
            assert seen["type"] == "location_update"
            assert seen["data"] == BERLIN | {"user_id": ada.user_id}
            await second.move(speed=22.5, heading=270)
            # The next thing that the first hears is the other's position, not its own.
            assert (await first.next())["data"]["user_id"] == bo.user_id

            late = await group.join("Late")
            joined = await first.until("participant_joined")
            assert joined["display_name"] == "Late"
            async with phone(late) as third:
                snapshot = third.snapshot
                assert snapshot["session"]["name"] == "Überlandfahrt 🏍"
                assert {p["user_id"] for p in snapshot["positions"]} == {ada.user_id, bo.user_id}
                assert [p["online"] for p in snapshot["participants"]] == [True, True, True]
                await third.send("leave")
                assert await third.closed() == 1000
            assert (await first.until("participant_left"))["reason"] == "left"

            ended = await group.http.delete(f"/api/sessions/{group.id}", headers=group.host)
            assert ended.status_code == 200
            for each in (first, second):
                assert (await each.until("session_ended"))["reason"] == "ended_by_host"
                assert await each.closed() == 4410
        gone = await group.http.post(
            f"/api/sessions/{group.id}/join", json={"display_name": "Too late"}
        )
        assert gone.status_code == 410


async def test_after_a_sigkill_everyone_goes_on_with_their_old_tokens(program: Program) -> None:
    async with group_of(program) as group:
        people = [await group.join("Ada"), await group.join("Bo")]
        left = await group.join("Gone")
        removed = await group.http.delete(
            f"/api/sessions/{group.id}/participants/{left.user_id}", headers=group.host
        )
        assert removed.status_code == 200
        async with pair_of(*people) as (first, second):
            await first.move()
            await second.until("location_update")
            before = first.snapshot, second.snapshot
            program.kill()
            for each in (first, second):
                assert await each.closed() in (1001, 1006)

        program.start()

        back = [
            person.asking(resume=f"{known['epoch']}.{known['seq']}")
            for person, known in zip(people, before, strict=True)
        ]
        async with pair_of(*back) as (first, second):
            await second.move(lat=-33.5)
            assert (await first.until("location_update"))["lat"] == -33.5
            for now, then in zip((first, second), before, strict=True):
                assert now.snapshot["resumed"] is False
                assert now.snapshot["epoch"] != then["epoch"], "what was missed is not known"
        async with httpx.AsyncClient(base_url=program.http_url, timeout=LAST_RESORT_S) as http:
            listed = (await http.get(f"/api/sessions/{group.id}/participants")).json()
        assert [p["display_name"] for p in listed["participants"]] == ["Ada", "Bo"]


# httpx does not close the body of a request that the server's end cuts off while it is written.
@pytest.mark.filterwarnings("ignore:Async generator 'httpx._content.ByteStream:ResourceWarning")
async def test_who_was_told_that_they_joined_is_there_after_a_sigkill_in_the_middle(
    program: Program,
) -> None:
    told: set[str] = set()
    enough = trio.Event()

    async def join(name: str) -> None:
        try:
            told.add((await group.join(name)).user_id)
        except httpx.TransportError:
            return
        if len(told) >= 15:
            enough.set()

    async with group_of(program) as group:
        async with trio.open_nursery() as nursery:
            for number in range(45):
                nursery.start_soon(join, f"person {number}")
            with trio.fail_after(LAST_RESORT_S):
                await enough.wait()
            program.kill()
        program.start()
        async with httpx.AsyncClient(base_url=program.http_url, timeout=LAST_RESORT_S) as http:
            listed = (await http.get(f"/api/sessions/{group.id}/participants")).json()
    assert told <= {each["user_id"] for each in listed["participants"]}


async def test_a_position_does_not_survive_the_process(program: Program) -> None:
    async with group_of(program) as group:
        people = [await group.join("Ada"), await group.join("Bo")]
        async with pair_of(*people) as (first, second):
            await first.move()
            await second.until("location_update")
            program.kill()
        program.start()
        async with phone(people[1]) as again:
            assert again.snapshot["positions"] == []


async def test_sigterm_tells_everyone_to_come_back_and_leaves_nothing_behind(
    program: Program,
) -> None:
    async with group_of(program) as group:
        people = [await group.join("Ada"), await group.join("Bo")]
        async with pair_of(*people) as (first, second):
            group_id = os.getpgid(program.pid)
            children = descendants(program.pid)
            assert children or sys.platform != "linux", "PostgreSQL is one"
            program.signal(signal.SIGTERM)
            for each in (first, second):
                assert await each.closed() == 1012
        assert await trio.to_thread.run_sync(program.wait) == 0
        with pytest.raises(ProcessLookupError):
            os.killpg(group_id, 0)
        assert [pid for pid in children if is_running(pid)] == []

        program.start()
        async with pair_of(*people):
            pass


async def test_neither_tokens_nor_positions_are_in_the_log(program: Program) -> None:
    async with group_of(program) as group:
        people = [await group.join("Ada"), await group.join("Bo")]
        async with pair_of(*people) as (first, second):
            await first.move()
            await second.until("location_update")
            await first.move(lat=91)
            assert (await first.until("error"))["code"] == "INVALID_LOCATION"
        async with phone(people[0], token_in_query=True):
            pass
        refused = await group.http.delete(
            f"/api/sessions/{group.id}", headers={"Authorization": f"Bearer {people[0].token}"}
        )
        assert refused.status_code == 403
    assert await trio.to_thread.run_sync(program.stop) == 0
    log = "".join(program.raw)
    assert program.events("connection_closed"), "the log is there, at debug level"
    secrets = [people[0].token, people[1].token, group.host["Authorization"], group.id, "eyJ"]
    for secret in [*secrets, str(BERLIN["lat"]), str(BERLIN["lng"])]:
        assert secret not in log


def test_a_second_server_on_the_same_data_says_so(program: Program, folder: Path) -> None:
    other = Program({"LOCSHARE_DATA_DIR": str(folder)})
    with pytest.raises(AssertionError, match="did not get ready"):
        other.start()
    assert "Traceback" not in "".join(other.raw)
    assert str(folder) in "".join(other.raw)


def test_wrong_settings_are_named_and_nothing_starts(folder: Path) -> None:
    other = Program({"LOCSHARE_DATA_DIR": str(folder), "LOCSHARE_MAX_PARTICIPANTS": "many"})
    with pytest.raises(AssertionError, match="did not get ready"):
        other.start()
    said = "".join(other.raw)
    assert "LOCSHARE_MAX_PARTICIPANTS" in said
    assert "'many'" in said
    assert "2 to 1000" in said


def descendants(pid: int) -> list[int]:
    """Every process below ``pid``."""
    if sys.platform != "linux":
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and parent_of(int(entry.name)) == pid:
            found += [int(entry.name), *descendants(int(entry.name))]
    return found


def parent_of(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[1])


def is_running(pid: int) -> bool:
    """Not a zombie, which somebody else has yet to wait for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
