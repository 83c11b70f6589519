"""The program's starts and ends, measured on the real one."""

import json

import pytest

from bench.procfs import PROC
from bench.solo.start import main


@pytest.mark.e2e
def test_both_starts_are_measured_and_nothing_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--repeat=1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["first", "second"]
    for starts in result.values():
        assert starts["left"] == 0
        assert starts["helpers"] > 1 or not PROC.exists()  # the database is several
        [ready], [less], [gone] = starts["ready"], starts["without_database"], starts["gone"]
        assert 0 < less < ready  # the database's own time was found in the log
        assert gone > 0
