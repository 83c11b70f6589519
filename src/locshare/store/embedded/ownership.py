"""The account that the embedded PostgreSQL runs as, and what that account may pass through.

Root may work on the data of a server that runs as another user (a backup while it is stopped, a
restore). What it makes there is that user's, who could not start otherwise.
"""

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

SERVICES: Final = range(61_184, 65_520)
"""User ids that systemd gives to services while they run (DynamicUser=)."""

Account = pwd.struct_passwd


def account_for(cluster: Path) -> Account | None:
    """The account to run the server as: the owner of the cluster or of its data directory, if that
    is another user who has a name; None for our own. Raises EmbeddedError as root when there is
    none. Call with the lock held: a cluster of somebody else's (restored from a copy) is given to
    it.
    """
    if os.geteuid() != 0:
        return None
    account = next(filter(None, map(_named, _owners(cluster))), None) or _usual_account()
    if cluster.exists() and cluster.stat().st_uid != account.pw_uid:
        for path in (cluster, *cluster.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    return account


def _owners(cluster: Path) -> list[int]:
    """The user ids of the cluster and of its data directory, of what there is; without root's."""
    places = [each for each in (cluster, cluster.parent) if each.exists()]
    return [owner for each in places if (owner := each.stat().st_uid) != 0]


def _named(owner: int) -> Account | None:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(owner)
    return None


def _usual_account() -> Account:
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise EmbeddedError(
        "PostgreSQL does not run as root, and none of the accounts "
        + ", ".join(ACCOUNTS)
        + " exists. Create one (useradd --system locshare), or run as another user"
    )


def is_of_service(cluster: Path) -> bool:
    """Whether this is root, and the data that of a service of systemd with a user that exists only
    while it runs. Its PostgreSQL cannot be run by root: the user has no name meanwhile, and the way
    to the data (/var/lib/private) is closed to all but root, for good reason.
    """
    return os.geteuid() == 0 and any(owner in SERVICES for owner in _owners(cluster))


def check_not_of_service(cluster: Path) -> None:
    """Raises EmbeddedError when :func:`is_of_service`."""
    if is_of_service(cluster):
        raise EmbeddedError(
            f"{cluster.parent} is the data of a service of systemd, which could not read what root"
            " makes there. For a backup start the service; for anything else stop it, and run this"
            " in its place: systemd-run --pipe --wait -p DynamicUser=yes -p User=locshare"
            " -p StateDirectory=locshare -E LOCSHARE_DATA_DIR=/var/lib/locshare locshare …"
        )


def keep_owner(path: Path) -> None:
    """As root, give ``path`` to the owner of the directory that it is in."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        if owner.st_uid != 0:
            os.chown(path, owner.st_uid, owner.st_gid)


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
