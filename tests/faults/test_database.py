"""The real tree without its database: phones go on, and who joins is told to come back."""

import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog.testing
import trio

from tests.contract.group import patiently
from tests.faults.kit import DEADLINE_S, Running, running, talk
from tests.postgres import Server
from tests.program import data_directory
from tests.store.kit import database_of

pytestmark = pytest.mark.store


async def readiness(server: Running) -> int:
    async with httpx.AsyncClient(base_url=server.application.addresses.http_url) as http:
        answer = await http.get("/health/ready")
    if answer.status_code == 503:
        assert int(answer.headers["Retry-After"]) > 0
    return answer.status_code


async def until_readiness_is(server: Running, status: int) -> None:
    with trio.fail_after(DEADLINE_S):
        while await readiness(server) != status:  # noqa: ASYNC110 - it is asked for
            await trio.sleep(0.05)


async def live(server: Running) -> bool:
    async with httpx.AsyncClient(base_url=server.application.addresses.http_url) as http:
        return (await http.get("/health/live")).status_code == 200


async def test_an_embedded_server_that_is_killed_six_times_closes_no_connection() -> None:
    with data_directory() as folder:
        async with running(None, folder) as server:
            session = await server.create()
            async with server.phone(session, "Ada") as ada, server.phone(session, "Bo") as bo:
                store = server.application.store
                for kill in range(6):
                    pid_file = folder / "postgres" / "postmaster.pid"
                    os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
                    with trio.fail_after(DEADLINE_S):
                        while store.statistics().is_open:  # noqa: ASYNC110 - no events of it
                            await trio.sleep(0.001)
                    await talk(ada, bo, kill + 1)
                    assert await live(server)
                    with trio.fail_after(DEADLINE_S):
                        while not store.statistics().is_open:  # noqa: ASYNC110
                            await trio.sleep(0.001)
                await until_readiness_is(server, 200)
                async with server.phone(session, "Cy") as cy:
                    await ada.until("participant_joined")
                    await talk(cy, ada, 9)
                assert bo.socket.closed is None


@pytest.mark.parametrize(
    ("do", "undo"),
    [
        ("ALTER TABLE {} RENAME TO p2", "ALTER TABLE p2 RENAME TO {}"),
        ("ALTER TABLE {} DROP COLUMN role", "ALTER TABLE {} ADD role varchar(20) DEFAULT 'host'"),
    ],
)
async def test_a_changed_table_closes_no_connection_and_joining_answers_503(
    postgres_server: Server, postgres_url: str, tmp_path: Path, do: str, undo: str
) -> None:
    database = database_of(postgres_url)
    with structlog.testing.capture_logs() as lines:
        async with running(postgres_url, tmp_path) as server:
            session = await server.create()
            async with server.phone(session, "Ada") as ada, server.phone(session, "Bo") as bo:
                postgres_server.execute(do.format("participants"), database)
                async with httpx.AsyncClient(
                    base_url=server.application.addresses.http_url
                ) as http:

                    async def join() -> httpx.Response:
                        return await http.post(
                            f"/api/sessions/{session}/join", json={"display_name": "Cy"}
                        )

                    for _ in range(10):
                        refused = await join()
                        assert refused.status_code == 503
                        assert int(refused.headers["Retry-After"]) > 0
                    assert await readiness(server) == 503
                    await talk(ada, bo, 1)
                    postgres_server.execute(undo.format("participants"), database)
                    assert (await patiently(join)).status_code == 201
                await until_readiness_is(server, 200)
                await talk(ada, bo, 2)
    assert events(lines, "database_away") == 1
    assert events(lines, "crash") == 0


def events(lines: list[Any], name: str) -> int:
    return sum(line["event"] == name for line in lines)


async def test_the_store_spends_no_restart_of_the_root_however_often_it_crashes(
    postgres_url: str, tmp_path: Path
) -> None:
    async with running(postgres_url, tmp_path) as server:
        session = await server.create()
        async with server.phone(session, "Ada") as ada, server.phone(session, "Bo") as bo:
            for number in range(6):
                await server.kill("store")
                await talk(ada, bo, number + 1)
            assert server.root.alive
