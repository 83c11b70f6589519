"""Root works on the data of a server that runs as another user, who can go on with it."""

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from locshare.config import Settings
from locshare.maintenance.backup import work
from locshare.store.embedded import EmbeddedPostgres
from locshare.store.embedded.complaints import EmbeddedError
from locshare.store.embedded.ownership import ACCOUNTS, SERVICES, account_for, is_of_service
from tests.program import data_directory

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root may give a file to another user"
)
OWNER: Final = "daemon"
"""An account that no rule of the program names."""
NAMELESS: Final = 54_321


@pytest.fixture
def home() -> Iterator[Path]:
    """A data directory of :data:`OWNER`, below one that everybody may pass through."""
    assert OWNER not in ACCOUNTS
    with data_directory() as folder:
        folder.chmod(0o755)
        made = folder / "data"
        made.mkdir(mode=0o700)
        account = pwd.getpwnam(OWNER)
        os.chown(made, account.pw_uid, account.pw_gid)
        yield made


def owners(folder: Path) -> set[str]:
    return {pwd.getpwuid(each.lstat().st_uid).pw_name for each in (folder, *folder.rglob("*"))}


def test_what_root_makes_in_the_data_of_another_user_is_that_users(home: Path) -> None:
    server = EmbeddedPostgres(home)
    server.start()
    try:
        assert Path(f"/proc/{server.pid}").stat().st_uid == pwd.getpwnam(OWNER).pw_uid
    finally:
        server.stop()
    assert {each.name for each in home.iterdir()} == {"postgres", "postgres.lock", "postgres.log"}
    assert owners(home) == {OWNER}


def test_a_key_that_root_restores_is_that_users(home: Path) -> None:
    settings = Settings(data_dir=home)
    assert "the signing key is in" in work._keep_key(settings, "k" * 64)
    assert owners(home) == {OWNER}


@pytest.mark.parametrize(("cluster", "data", "account"), [
    (0, 0, None), (NAMELESS, 0, None), (NAMELESS, NAMELESS, None),
    (0, 1, OWNER), (NAMELESS, 1, OWNER), (1, 0, OWNER), (1, NAMELESS, OWNER),
])  # fmt: skip
def test_a_cluster_is_run_by_its_owner_or_by_that_of_the_data_and_given_to_it(
    tmp_path: Path, cluster: int, data: int, account: str | None
) -> None:
    """None: by one of the usual accounts. A user id without a name is that of another machine."""
    files = tmp_path / "postgres"
    (files / "base").mkdir(parents=True)
    for path, owner in ((tmp_path, data), (files, cluster), (files / "base", cluster)):
        os.chown(path, owner, owner)
    found = account_for(files)
    assert found is not None
    assert found.pw_name == account if account else found.pw_name in ACCOUNTS
    assert owners(files) == {found.pw_name}


@pytest.mark.parametrize("owner", [SERVICES[0], SERVICES[-1]])
def test_the_data_of_a_service_of_systemd_is_left_as_it_is(tmp_path: Path, owner: int) -> None:
    """Its user has no name while it does not run, and the way there is closed to all others."""
    data = tmp_path / "private" / "locshare"
    (data / "postgres").mkdir(parents=True)
    (tmp_path / "private").chmod(0o700)
    os.chown(data, owner, owner)
    with pytest.raises(EmbeddedError, match="systemd-run"):
        EmbeddedPostgres(data).start()
    assert is_of_service(data / "postgres")
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700
    assert [each.name for each in data.iterdir()] == ["postgres"]
