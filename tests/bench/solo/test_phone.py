"""What the phone app sends to Flutter for a group that moves."""

import asyncio

import pytest

from bench.solo.phone import main, measure


def test_a_second_is_a_few_bytes_for_each_who_moves_and_none_for_who_does_not() -> None:
    costs = asyncio.run(measure(20, 2))
    assert costs["nobody moves"].bytes == 0
    assert 0 < costs["one moves"].bytes < 500
    assert costs["one moves"].bytes * 3 < costs["all move"].bytes < 20 * 200


def test_the_command_prints_a_line_for_each_size(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--people", "2", "--rounds", "1"])
    assert capsys.readouterr().out.splitlines()[3].split()[0] == "2"
    with pytest.raises(SystemExit):
        main(["--people", "1"])
    assert "a group has 2 people or more" in capsys.readouterr().err
