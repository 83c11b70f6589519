"""Connections with and without the reader."""

from collections.abc import Iterator

import pytest

from locshare.connection.reader import Reader


@pytest.fixture(scope="module", params=["by the reader", "by its own task"])
def read_each_way(request: pytest.FixtureRequest) -> Iterator[None]:
    """How a socket is read while its task waits. No test may see a difference."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "by its own task":
            patch.setattr(Reader, "serving", False)
        yield
