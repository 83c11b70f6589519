"""The file of the signing secret: made once, whole, and closed to others."""

import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from locshare.auth.secret_file import SecretError, load_or_create_secret


def test_a_secret_is_made_once_with_mode_600_and_read_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "srv" / "data" / "secret"
    secret = load_or_create_secret(path)
    assert len(secret) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_or_create_secret(path) == secret
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]


def test_a_secret_that_is_there_is_read_and_nothing_is_written(tmp_path: Path) -> None:
    secret = load_or_create_secret(tmp_path / "secret")
    os.utime(tmp_path, (1, 1))
    assert load_or_create_secret(tmp_path / "secret") == secret
    assert tmp_path.stat().st_mtime == 1


def test_a_new_secret_and_its_name_are_on_the_disk_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append("directory" if is_directory else "file")

    monkeypatch.setattr(os, "fsync", fsync)
    load_or_create_secret(tmp_path / "secret")
    assert synced == ["file", "directory"]


def open_below(folder: Path) -> list[str]:
    """Which of a folder's files this process has open, whatever else comes and goes meanwhile."""
    found = []
    for each in Path("/dev/fd").iterdir():
        with suppress(OSError):  # that of the listing itself, at least
            found.append(str(each.readlink()))
    return [each for each in found if each.startswith(str(folder))]


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="open files cannot be listed here")
def test_neither_a_secret_nor_a_refused_one_stays_open(tmp_path: Path) -> None:
    load_or_create_secret(tmp_path / "secret")
    load_or_create_secret(tmp_path / "secret")
    with pytest.raises(SecretError):
        load_or_create_secret(tmp_path)
    assert open_below(tmp_path) == []
    with (tmp_path / "secret").open():
        assert open_below(tmp_path) == [str(tmp_path / "secret")], "it would be seen"


@pytest.mark.parametrize("owner", [0, 1, 1000, 1001])
def test_a_secret_is_ours_or_that_of_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int
) -> None:
    secret = load_or_create_secret(tmp_path / "secret")
    found = list((tmp_path / "secret").stat())
    found[stat.ST_UID] = owner
    monkeypatch.setattr(os, "fstat", lambda _descriptor: os.stat_result(found))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    if owner in (0, 1000):
        assert load_or_create_secret(tmp_path / "secret") == secret
    else:
        with pytest.raises(SecretError, match=f"another user .uid {owner}"):
            load_or_create_secret(tmp_path / "secret")


def test_the_umask_does_not_widen_the_secret(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_or_create_secret(tmp_path / "secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_processes_that_start_together_get_the_same_secret(tmp_path: Path) -> None:
    found: list[bytes] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        found.append(load_or_create_secret(tmp_path / "secret"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize("mode", [0o601, 0o602, 0o604, 0o610, 0o620, 0o640, 0o644])
def test_a_secret_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    load_or_create_secret(path)
    path.chmod(mode)
    with pytest.raises(SecretError, match=f"{path} .* mode {mode:03o}.*chmod 600"):
        load_or_create_secret(path)


@pytest.mark.parametrize("content", [b"", b"correct horse", b"k" * 31 + b"\n"])
def test_a_short_secret_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(SecretError, match="at least 32") as caught:
        load_or_create_secret(path)
    if content:
        assert content.strip().decode() not in str(caught.value)


def test_what_is_no_regular_file_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe", 0o600)
    load_or_create_secret(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    for name in ("directory", "pipe", "link"):
        with pytest.raises(SecretError):
            load_or_create_secret(tmp_path / name)


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SecretError, match="file/secret"):
        load_or_create_secret(tmp_path / "file" / "secret")
