"""The comparators as programs: their flags, several workers, and a client that does not read."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import trio

from bench.servers import HOST, Process, free_port
from bench.targets import started
from bench.targets.local import ROOT, is_ready, redis_process
from tests.contract.group import DEADLINE_S, Group, create, phone
from tests.phones import BERLIN
from tests.redis_server import needs_redis
from tests.running import LAST_RESORT_S

pytestmark = pytest.mark.e2e


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def run(module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LAST_RESORT_S,
        check=False,
    )


@pytest.mark.parametrize(
    "module", ["bench.peers.redis", "bench.peers.inprocess", "bench.peers.picows"]
)
@pytest.mark.parametrize(
    ("flag", "value", "allowed"),
    [("--http", "8090", "HOST:PORT"), ("--max-participants", "0", "number from 1")],
)
def test_a_wrong_flag_is_named(module: str, flag: str, value: str, allowed: str) -> None:
    ended = run(module, flag, value)
    assert ended.returncode == 2
    assert flag in ended.stderr
    assert repr(value) in ended.stderr
    assert allowed in ended.stderr


@pytest.mark.parametrize("url", [f"redis://{HOST}:1", "nonsense"])
def test_without_redis_it_does_not_start_and_says_what_to_do(url: str) -> None:
    ended = run("bench.peers.redis", "--redis", url)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"no Redis at {url}: ")
    assert "apt install redis-server" in ended.stderr
    assert "Traceback" not in ended.stderr


@contextmanager
def several_workers(folder: Path, workers: int) -> Iterator[str]:
    place = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    redis, redis_port = redis_process(folder, place)
    port = free_port()
    server = Process(
        [
            *(sys.executable, "-m", "bench.peers.redis", "--workers", str(workers)),
            *("--http", f"{HOST}:{port}", "--redis", f"redis://{HOST}:{redis_port}"),
        ],
        log=folder / "server.log",
        place=place,
        ready=partial(is_ready, port),
        environment={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        redis.start()
        server.start()
        yield f"http://{HOST}:{port}"
    finally:
        server.stop()
        redis.stop()


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[Group]:
    with several_workers(tmp_path, 2) as url:
        async with httpx.AsyncClient(base_url=url, timeout=DEADLINE_S) as client:
            yield await create(client)


@needs_redis
@pytest.mark.outside_contract
async def test_people_on_different_workers_are_one_group(group: Group) -> None:
    """Which worker a connection comes to is chance: with 16 of them, 1 in 30,000 runs has all on
    one, and shows nothing.
    """
    people = [await group.join(str(number)) for number in range(16)]
    async with AsyncExitStack() as stack:
        phones = [await stack.enter_async_context(phone(each)) for each in people]
        for number, sender in enumerate(phones):
            await sender.move(battery=number)
            for receiver in phones:
                if receiver is not sender:
                    await receiver.until("location_update", battery=number)
        # The same people again: each older connection is closed, wherever it is.
        for person, older in zip(people, phones, strict=True):
            await stack.enter_async_context(phone(person))
            assert await older.closed() == 4409
        assert all(each["online"] for each in (await group.participants()).values())
        await group.end()


@pytest.mark.parametrize("name", ["inprocess", "picows"])
async def test_a_client_that_does_not_read_is_dropped_and_delays_no_other(name: str) -> None:
    with started(name, pin=False) as target:
        async with httpx.AsyncClient(base_url=target.http_url, timeout=DEADLINE_S) as client:
            group = await create(client)
            ada, bo, deaf = [await group.join() for _ in range(3)]
            async with phone(ada) as first, phone(bo) as second:
                with socket.create_connection((HOST, port_of(deaf.url))) as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    s.sendall(
                        (
                            f"GET /ws?token={deaf.token} HTTP/1.1\r\nHost: {HOST}\r\n"
                            "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                            "Sec-WebSocket-Version: 13\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                        ).encode()
                    )
                    await first.until("participant_updated", user_id=deaf.user_id, online=True)
                    update = json.dumps({"type": "location_update", "data": BERLIN})
                    heard = 0
                    # No more are under way than wait for a client that reads: such a one would be
                    # dropped too where the server gets no processor for a while.
                    for _ in range(100):
                        await second.send_raw(update)
                    with trio.fail_after(LAST_RESORT_S):
                        while True:
                            message = await first.next()
                            if message["type"] == "location_update":
                                heard += 1
                                await second.send_raw(update)
                            elif message["data"] == message["data"] | {
                                "user_id": deaf.user_id,
                                "online": False,
                            }:
                                break
                    assert heard > 1000
