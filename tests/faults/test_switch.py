"""Faults are there only for who asked for them, and never in production."""

from pathlib import Path

import pytest

from locshare.cli import main as cli
from locshare.ops.control import ControlError
from locshare.ops.faults import open_faults
from tests.faults.kit import running


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--environment", "production"], "--faults is refused: environment is production"),
        (["--control-socket", "off"], "--faults needs the control socket"),
    ],
)
def test_the_flag_is_refused(
    flags: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["serve", "--faults", "--data-dir", str(tmp_path), *flags]) == 2
    assert says in capsys.readouterr().err


def test_it_is_a_flag_and_no_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "locshare.toml"
    file.write_text("faults = true\n")
    assert cli.main(["checkconfig", "--config", str(file)]) == 2
    assert "faults" in capsys.readouterr().err


async def test_a_server_without_it_knows_no_faults(postgres_url: str, tmp_path: Path) -> None:
    async with running(postgres_url, tmp_path), open_faults(tmp_path / "control.sock") as faults:
        with pytest.raises(ControlError, match="Invalid value 'skew_clock'"):
            await faults.skew_clock(1)
        assert not (await faults.snapshot()).process.faults
