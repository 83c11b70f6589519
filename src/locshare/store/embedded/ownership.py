"""The account that the embedded PostgreSQL runs as, and what that account may pass through."""

import contextlib
import os
import pwd
import stat
from pathlib import Path
from typing import Any, Final

import structlog

from locshare.store.embedded.complaints import EmbeddedError

log = structlog.get_logger()

ACCOUNTS: Final = ("locshare", "postgres", "_postgres", "nobody")

Account = pwd.struct_passwd


def account_for(cluster: Path) -> Account | None:
    """The account to run the server as; None for our own. Raises EmbeddedError as root when there
    is none.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (owner := cluster.stat().st_uid) != 0:
        with contextlib.suppress(KeyError):
            return pwd.getpwuid(owner)
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            if cluster.exists():  # restored from a copy, by root
                for path in (cluster, *cluster.rglob("*")):
                    os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
            return account
    raise EmbeddedError(
        "PostgreSQL does not run as root, and none of the accounts "
        + ", ".join(ACCOUNTS)
        + " exists. Create one (useradd --system locshare), or run as another user"
    )


def check_has_name(account: Account | None) -> None:
    """initdb looks up the name of its user id. Raises EmbeddedError when there is none."""
    user_id = os.geteuid() if account is None else account.pw_uid
    try:
        pwd.getpwuid(user_id)
    except KeyError:
        raise EmbeddedError(
            f"this process runs as user id {user_id}, which has no name, and PostgreSQL's initdb"
            " needs one: add an entry to /etc/passwd, run as a user that has one (docker run"
            " --user), or set LOCSHARE_DATABASE_URL"
        ) from None


def let_through(account: Account, *targets: Path) -> None:
    """Let ``account`` reach ``targets``: o+x on the directories above, o+rX on the binaries, of
    which ``targets[0]`` is one.
    """
    for target in targets:
        for folder in target.resolve().parents:
            if not folder.exists():
                continue
            mode = folder.stat().st_mode
            allowed = (
                mode & stat.S_IXUSR
                if folder.stat().st_uid == account.pw_uid
                else mode & stat.S_IXOTH
            )
            if not allowed:
                folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
                log.info("made_passable", path=str(folder), account=account.pw_name)
    binary = targets[0]
    if binary.stat().st_mode & (stat.S_IXOTH | stat.S_IROTH) != stat.S_IXOTH | stat.S_IROTH:
        for path in (binary.parent.parent, *binary.parent.parent.rglob("*")):
            if not path.is_symlink():
                mode = path.stat().st_mode
                search = stat.S_IXOTH if mode & stat.S_IXUSR else 0
                path.chmod(stat.S_IMODE(mode) | stat.S_IROTH | search)


def popen_options(account: Account | None) -> dict[str, Any]:
    """Arguments of Popen: the account, and an environment without effect on PostgreSQL."""
    options: dict[str, Any] = {
        "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        "cwd": "/",
    }
    if account is not None:
        options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return options


def give(path: Path, account: Account | None) -> None:
    """Make ``account`` the owner of ``path``."""
    if account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)
