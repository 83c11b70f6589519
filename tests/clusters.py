"""A PostgreSQL cluster that is copied instead of made: initdb takes most of a second of CPU time, a
copy a tenth of one, and the tests need some fifty.

What a first start does is tested where a `Program` or an `EmbeddedPostgres` makes a cluster itself:
tests/store/test_embedded.py, tests/e2e/test_stop_during_start.py, tests/test_packaging.py,
tests/bench/solo/test_start.py.
"""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

from bench.guardian import temporary_folder
from bench.servers import Server
from locshare.store.embedded import EmbeddedPostgres

_kept = ExitStack()  # never closed: the guardian removes the folder when this process has ended


def give_cluster(data_dir: Path) -> None:
    """Put a cluster into ``data_dir``, if it has none, as a first start would."""
    if not (data_dir / "postgres").exists():
        # With its owner: as root PostgreSQL runs as another account.
        subprocess.run(["cp", "-a", _made(), data_dir / "postgres"], check=True)


@contextmanager
def copies_for_the_bench() -> Iterator[None]:
    """In the block each server that the bench starts is given a cluster."""
    start = Server.start

    def start_with_a_copy(server: Server) -> float:
        if "LOCSHARE_DATABASE_URL" not in server._environment:
            give_cluster(server.folder)
        return start(server)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Server, "start", start_with_a_copy)
        yield


@cache
def _made() -> Path:
    """By the program's own code, once for each process that runs tests."""
    folder = _kept.enter_context(temporary_folder("locshare-made-"))
    server = EmbeddedPostgres(folder, {"fsync": "off"})
    with redirect_stdout(StringIO()):  # its log is no output of the test that comes first
        server.start()
        server.stop()
    return server.cluster
