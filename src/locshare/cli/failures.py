"""Errors for operators: one sentence that says why a command failed and what to do.

Everything an operator can cause (a port in use, a directory that cannot be written, a limit of the
system) is an OSError or a LocshareError; anything else is a fault of the program.
"""

import errno
from typing import Final

from locshare.model.errors import LocshareError
from locshare.net.listening import CannotListen
from locshare.telemetry import redaction

_NO_ROOM: Final = "Free some space, or choose another place with --data-dir"
_NO_RIGHT: Final = (
    "Give the user who runs locshare the right to it, or choose another place with --data-dir"
)
_MORE_FILES: Final = (
    "Raise the limit of open files (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of docker)"
)
_MORE_THREADS: Final = (
    "Raise the limit of processes (ulimit -u, TasksMax= of systemd, --pids-limit of docker)"
)
_OTHER_ADDRESS: Final = "choose another with --bind, or with --http-bind and --ws-bind"

_WAYS_OUT: Final = {
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EROFS: "Choose another place with --data-dir",
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.ENOTDIR: "Choose another place with --data-dir",
    errno.EMFILE: _MORE_FILES,
    errno.ENFILE: _MORE_FILES,
    errno.EAGAIN: _MORE_THREADS,
}
_WAYS_OUT_OF_LISTENING: Final = {
    errno.EADDRINUSE: f"Stop what listens there, or {_OTHER_ADDRESS}",
    errno.EADDRNOTAVAIL: f"This machine has no such address; {_OTHER_ADDRESS}",
    errno.EACCES: f"Ports below 1024 need a privilege; {_OTHER_ADDRESS}",
    errno.EPERM: f"Ports below 1024 need a privilege; {_OTHER_ADDRESS}",
    errno.EMFILE: _MORE_FILES,
    errno.ENFILE: _MORE_FILES,
}


def explain(error: BaseException | None) -> str | None:
    """The sentence for ``error``; None for a fault of the program.

    The supervisor's errors say which child failed; their cause, or the only error in a group, says
    why.
    """
    while error is not None and not isinstance(error, LocshareError | OSError):
        if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
            return f"the system refuses another thread. {_MORE_THREADS}"
        if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        else:
            error = error.__cause__
    if error is None:
        return None
    if not isinstance(error, OSError) or error.strerror is None:
        return redaction.scrub(str(error) or type(error).__name__)
    if isinstance(error, CannotListen):
        way_out = _WAYS_OUT_OF_LISTENING.get(error.errno or 0, f"Check it, or {_OTHER_ADDRESS}")
        return redaction.scrub(f"{error.strerror}. {way_out}")
    text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    way_out = _WAYS_OUT.get(error.errno or 0, "")
    return redaction.scrub(f"{text}. {way_out}" if way_out else text)
