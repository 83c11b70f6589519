"""Every test here runs against each server: locshare with its embedded PostgreSQL, and the
comparators. Each is started once.
"""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from bench.targets import STARTABLE, Target, started
from tests.clusters import copies_for_the_bench
from tests.contract.group import DEADLINE_S, Group, create
from tests.redis_server import have_redis_or_skip

SEATS = 5
SECRET = "only for the tests of the contract"


@pytest.fixture(scope="session", params=STARTABLE)
def server(request: pytest.FixtureRequest) -> Iterator[Target]:
    have_redis_or_skip(request.param)
    with (
        copies_for_the_bench(),
        started(
            request.param,
            pin=False,
            max_participants=SEATS,
            environment={"LOCSHARE_JWT_SECRET": SECRET, "PEER_JWT_SECRET": SECRET},
        ) as target,
    ):
        yield target


@pytest.fixture
async def http(server: Target) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.http_url, timeout=DEADLINE_S) as client:
        yield client


@pytest.fixture
async def group(http: httpx.AsyncClient) -> Group:
    return await create(http, name="Alps")
