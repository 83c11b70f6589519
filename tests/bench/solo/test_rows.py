"""What people cost the database, of the real server and a real PostgreSQL."""

import json

import pytest

from bench.solo.rows import main


@pytest.mark.e2e
def test_a_session_has_a_row_and_one_for_each_of_its_people(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--sessions", "2", "--size", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["people"], found["rows"]) == (6, 2 + 6)
    assert found["wal_bytes"] > 0
    assert found["left"] == 0
