"""A PostgreSQL cluster that is copied instead of made: initdb takes most of a second of CPU time, a
copy a tenth of one, and the tests need some fifty.

What a first start does is tested where a `Program` or an `EmbeddedPostgres` makes a cluster itself:
tests/store/test_embedded.py, tests/e2e/test_stop_during_start.py, tests/test_packaging.py.
"""

import subprocess
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from bench.guardian import temporary_folder
from locshare.store.embedded import EmbeddedPostgres

_kept = ExitStack()  # never closed: the guardian removes the folder when this process has ended


def give_cluster(data_dir: Path) -> None:
    """Put a cluster into ``data_dir``, if it has none, as a first start would."""
    if not (data_dir / "postgres").exists():
        # With its owner: as root PostgreSQL runs as another account.
        subprocess.run(["cp", "-a", _made(), data_dir / "postgres"], check=True)


@cache
def _made() -> Path:
    """By the program's own code, once for each process that runs tests."""
    folder = _kept.enter_context(temporary_folder("locshare-made-"))
    server = EmbeddedPostgres(folder, {"fsync": "off"})
    server.start()
    server.stop()
    return server.cluster
