"""A cluster made in advance: what `make binary` puts beside the binaries, and a copy of it."""

import os
import pwd
from pathlib import Path

import pytest

from locshare.store.embedded.cluster import create_cluster
from locshare.store.embedded.complaints import ServerLog
from locshare.store.embedded.server import _shared_memory
from tests.skipping import KERNEL
from tools.binary.payload import TEMPLATE, write_template


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A directory with the modes of a cluster."""
    made = tmp_path / "made"
    for folder in ("", "base", "base/1"):
        (made / folder).mkdir(mode=0o700)
    for name, text in (("PG_VERSION", "18\n"), ("base/1/112", "x" * 9000), ("empty", "")):
        (made / name).write_text(text)
        (made / name).chmod(0o600)
    return made


@pytest.fixture
def bin_dir(made: Path, tmp_path: Path) -> Path:
    """The directory of binaries, of which there are none, beside the template."""
    bin_dir = tmp_path / "pginstall18" / "bin"
    bin_dir.mkdir(parents=True)
    write_template(made, bin_dir.parent / TEMPLATE)
    return bin_dir


def listed(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }


def test_a_cluster_is_a_copy_where_there_is_a_template(
    made: Path, bin_dir: Path, tmp_path: Path
) -> None:
    """As in the single file: no initdb, so no name of the user id."""
    cluster = tmp_path / "data" / "postgres"
    cluster.parent.mkdir()
    create_cluster(cluster, bin_dir, None, ServerLog(tmp_path / "log"), lambda: None)
    assert listed(cluster) == listed(made)
    assert [path.name for path in cluster.parent.iterdir()] == ["postgres"]
    assert cluster.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="another account can only be had as root")
def test_a_copy_belongs_to_the_account_that_the_server_runs_as(
    bin_dir: Path, tmp_path: Path
) -> None:
    nobody = pwd.getpwnam("nobody")
    cluster = tmp_path / "data" / "postgres"
    cluster.parent.mkdir()
    create_cluster(cluster, bin_dir, nobody, ServerLog(tmp_path / "log"), lambda: None)
    assert {path.stat().st_uid for path in (cluster, *cluster.rglob("*"))} == {nobody.pw_uid}


def test_a_copy_that_is_given_up_is_no_cluster(bin_dir: Path, tmp_path: Path) -> None:
    cluster = tmp_path / "data" / "postgres"
    cluster.parent.mkdir()

    def give_up() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_cluster(cluster, bin_dir, None, ServerLog(tmp_path / "log"), give_up)
    assert not cluster.exists()


def test_shared_memory_is_in_files_where_the_account_may_not_write_to_dev_shm(
    tmp_path: Path,
) -> None:
    if not Path("/dev/shm").exists():  # noqa: S108
        pytest.skip(f"{KERNEL} has no /dev/shm")
    other = pwd.getpwnam("nobody")
    assert _shared_memory(None, tmp_path) == "posix"
    assert _shared_memory(other, tmp_path) == "mmap"
    assert _shared_memory(None, tmp_path / "none") == "mmap"
    tmp_path.chmod(0o1777)
    assert _shared_memory(other, tmp_path) == "posix"
