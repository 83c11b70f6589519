"""The servers that the bench starts have a database at once, but where their start is measured."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from tests.clusters import copies_for_the_bench

FIRST_STARTS = ("test_start.py",)


@pytest.fixture(scope="module", autouse=True)
def copied_clusters(request: pytest.FixtureRequest) -> Iterator[None]:
    measured = request.path.name in FIRST_STARTS
    with nullcontext() if measured else copies_for_the_bench():
        yield
