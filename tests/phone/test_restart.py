"""The app and a server that restarts."""

from pathlib import Path

import pytest

from phone.backend import VARIABLE
from tests.phone.kit import on_the_phone, phone
from tests.phone.test_app import BERLIN, create, places
from tests.program import data_directory, running_program

pytestmark = pytest.mark.e2e


@on_the_phone
async def test_the_app_is_back_after_a_restart_of_the_server_and_shows_where_everybody_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        data_directory() as folder,
        running_program({"LOCSHARE_DATA_DIR": str(folder)}) as program,
    ):
        monkeypatch.setenv(VARIABLE, program.http_url)
        async with phone(tmp_path, program.http_url) as one:
            await create(one)
            await one.stand(*BERLIN)
            await one.until(lambda: places(one) == [BERLIN])
            program.stop()
            await one.shows("Connection lost")
            assert places(one) == [BERLIN]
            program.start()
            await one.until(lambda: one.state.group.link.state == "live", "back")
            await one.until(lambda: not one.has("Connection lost"))
            assert one.has("1 person")
