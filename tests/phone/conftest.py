"""A real server for the phone's tests."""

from collections.abc import Iterator

import pytest

from tests.program import Program, data_directory, running_program


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with data_directory() as folder, running_program({"LOCSHARE_DATA_DIR": str(folder)}) as started:
        yield started
