"""The file of the signing secret: made once, read at every start, refused when others may read it.

Plain blocking calls. No error holds the secret.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from locshare.auth.private_file import private_file
from locshare.config.fields import MIN_SECRET_BYTES
from locshare.model.errors import LocshareError

_WAY_OUT: Final = "Choose another place with --data-dir, or set LOCSHARE_JWT_SECRET"


class SecretError(LocshareError):
    """The signing secret cannot be used. The text says why and what to do, never the secret."""


def load_or_create_secret(path: Path) -> bytes:
    """The secret kept at ``path``; made there, with mode 600, when there is none yet.

    The file appears whole or not at all, and processes that start together get the same secret.
    Raises SecretError when others may read the file, when it is not ours, or when it is too short.
    """
    try:
        return read_secret(path)
    except FileNotFoundError:
        pass
    adopt_secret(path, secrets.token_hex(MIN_SECRET_BYTES).encode())
    return read_secret(path)


def adopt_secret(path: Path, secret: bytes) -> bool:
    """Keep ``secret`` at ``path`` with mode 600, unless there is one; returns whether it was kept.

    The file appears whole or not at all. Raises SecretError.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_keep(path, error) from None
    try:
        with private_file(path) as file:
            file.write(secret + b"\n")
    except FileExistsError:
        return False  # another process was first, whose secret counts
    except OSError as error:
        raise _cannot_keep(path, error) from None
    return True


def _cannot_keep(path: Path, error: OSError) -> SecretError:
    return SecretError(f"cannot keep a secret in {path}: {error.strerror}. {_WAY_OUT}")


def read_secret(path: Path) -> bytes:
    """The secret kept at ``path``. Raises FileNotFoundError, SecretError."""
    try:
        # Non-blocking, so that a pipe in its place is refused and not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SecretError(
            f"cannot read the secret in {path}: {error.strerror}. {_WAY_OUT}"
        ) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise SecretError(f"{path} is not a regular file. {_WAY_OUT}")
        if status.st_mode & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            raise SecretError(
                f"{path} holds the signing secret and has mode {mode:03o}, so that others may "
                f"read or change it: run chmod 600 {path}, or remove it to get a new secret"
            )
        if status.st_uid not in (os.geteuid(), 0):
            raise SecretError(f"{path} belongs to another user (uid {status.st_uid}). {_WAY_OUT}")
        secret = os.read(descriptor, 4096).strip()
    finally:
        os.close(descriptor)
    if len(secret) < MIN_SECRET_BYTES:
        raise SecretError(
            f"{path} holds {len(secret)} bytes; a secret has at least {MIN_SECRET_BYTES}: "
            "remove the file to get a new secret"
        )
    return secret
