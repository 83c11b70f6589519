"""Every test here runs against each server: locshare with its embedded PostgreSQL, and the
comparators. Each is started once.
"""

import shutil
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from bench.targets import Target, started
from tests.contract.group import DEADLINE_S, Group, create

SEATS = 5
COMPARATORS = "inprocess", "picows", "redis"
SECRET = "only for the tests of the contract"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The comparators are held to what these tests check, not to the schemas of this server."""
    for item in items:
        of = getattr(item, "callspec", None)
        if of is not None and of.params.get("server") in COMPARATORS:
            item.add_marker("outside_contract")


@pytest.fixture(scope="session", params=["locshare", *COMPARATORS])
def server(request: pytest.FixtureRequest) -> Iterator[Target]:
    if request.param == "redis" and shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (apt install redis-server)")
    with started(
        request.param,
        pin=False,
        max_participants=SEATS,
        environment={"LOCSHARE_JWT_SECRET": SECRET, "PEER_JWT_SECRET": SECRET},
    ) as target:
        yield target


@pytest.fixture
async def http(server: Target) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.http_url, timeout=DEADLINE_S) as client:
        yield client


@pytest.fixture
async def group(http: httpx.AsyncClient) -> Group:
    return await create(http, name="Alps")
