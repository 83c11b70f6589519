"""A real server for the phone's tests: one in each worker, since a start costs a second."""

from collections.abc import Iterator

import pytest

from phone.backend import VARIABLE
from tests.postgres import Server, postgres_server  # noqa: F401 - a fixture
from tests.program import Program, data_directory, running_program


@pytest.fixture(scope="session")
def program(postgres_server: Server) -> Iterator[Program]:  # noqa: F811 - the fixture
    """Who stops it starts it again."""
    with (
        postgres_server.database() as database,
        data_directory() as folder,
        running_program(
            {"LOCSHARE_DATA_DIR": str(folder), "LOCSHARE_DATABASE_URL": database}
        ) as started,
    ):
        yield started


@pytest.fixture
def server(program: Program, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the server on which the app creates sessions."""
    monkeypatch.setenv(VARIABLE, program.http_url)
    return program.http_url
