"""The file that the signing secret and backups are written to: whole, private, or not there."""

import errno
import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from locshare.auth.private_file import private_file

NAMELESS: Final = getattr(os, "O_TMPFILE", None)


@pytest.fixture(params=["nameless", "hidden", "without links"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system with files that have no name, one without, and one that has no links either."""

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))  # what FAT says

    if request.param == "nameless" and NAMELESS is None:
        pytest.skip("this system has no files without a name")
    if request.param != "nameless":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    if request.param == "without links":
        monkeypatch.setattr(os, "link", no_links)
    return str(request.param)


def test_it_appears_whole_and_private(tmp_path: Path, kind: str) -> None:
    with private_file(tmp_path / "one") as file:
        file.write(b"whole")
        assert not (tmp_path / "one").exists()
        assert list(tmp_path.iterdir()) == [] or kind != "nameless"
    assert (tmp_path / "one").read_bytes() == b"whole"
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["one"]


@pytest.mark.usefixtures("kind")
def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with suppress(RuntimeError), private_file(tmp_path / "one") as file:
        file.write(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("kind")
def test_what_somebody_else_put_there_meanwhile_stays(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError), private_file(tmp_path / "one"):
        (tmp_path / "one").write_text("somebody was faster")
    assert (tmp_path / "one").read_text() == "somebody was faster"
    assert [each.name for each in tmp_path.iterdir()] == ["one"]


@pytest.mark.skipif(NAMELESS is None, reason="a file has a name from the beginning")
def test_a_process_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path;"
        "from locshare.auth.private_file import private_file\n"
        "with private_file(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "one"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []
