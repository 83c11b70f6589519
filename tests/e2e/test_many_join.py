"""A crowd joins at once, over real sockets into a real database: rows share statements, a session
takes exactly as many as it may, and who was told 201 is there after the power has failed.
"""

import os
import signal
from collections import Counter
from contextlib import suppress

import httpx
import pytest
import trio

from bench.procfs import descendants
from tests.program import data_directory, running_program
from tests.running import LAST_RESORT_S

pytestmark = pytest.mark.e2e

SEATS = 60
CROWD = 100


def statements(metrics: str) -> int:
    (line,) = [each for each in metrics.splitlines() if each.startswith("locshare_store_join_ba")]
    return int(float(line.split()[-1]))


async def test_who_was_told_that_they_joined_is_there_after_everything_was_killed() -> None:
    statuses: Counter[int] = Counter()
    joined: set[str] = set()
    with (
        data_directory() as folder,
        running_program(
            {
                "LOCSHARE_DATA_DIR": str(folder),
                "LOCSHARE_MAX_PARTICIPANTS": str(SEATS),
            }
        ) as program,
    ):
        async with httpx.AsyncClient(
            base_url=program.http_url,
            timeout=LAST_RESORT_S,
            limits=httpx.Limits(max_connections=CROWD),
        ) as http:
            session = (await http.post("/api/sessions")).json()["session_id"]

            async def join(number: int) -> None:
                answer = await http.post(
                    f"/api/sessions/{session}/join", json={"display_name": f"person {number}"}
                )
                statuses[answer.status_code] += 1
                if answer.status_code == 201:
                    joined.add(answer.json()["user_id"])

            async with trio.open_nursery() as nursery:
                for number in range(CROWD):
                    nursery.start_soon(join, number)
            took = statements((await http.get("/metrics")).text)

        for pid in (program.pid, *descendants(program.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        program.kill()
        program.start()

        async with httpx.AsyncClient(base_url=program.http_url, timeout=LAST_RESORT_S) as http:
            listed = (await http.get(f"/api/sessions/{session}/participants")).json()
    assert statuses == {201: SEATS, 409: CROWD - SEATS}
    assert {each["user_id"] for each in listed["participants"]} == joined
    assert took < SEATS, "joins that wait at the same time share a statement"
