"""What is mutated together, and the tests that have to notice."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = ROOT / "src/locshare"


@dataclass(frozen=True, slots=True)
class Room:
    """``sources`` are below the package, ``tests`` below tests/: files, folders or patterns."""

    name: str
    sources: tuple[str, ...]
    tests: tuple[str, ...]

    def files(self) -> list[Path]:
        """The modules to mutate."""
        return _found(PACKAGE, self.sources, "*.py")

    def test_files(self) -> list[Path]:
        """Those that are run, as far as they are there."""
        return _found(ROOT / "tests", self.tests, "test_*.py")


def _found(top: Path, names: tuple[str, ...], pattern: str) -> list[Path]:
    found: set[Path] = set()
    for name in names:
        for path in top.glob(name):
            found.update(path.rglob(pattern) if path.is_dir() else [path])
    return sorted(found)


_RUNTIME: Final = ("actors", "supervisor/test_[!l]*.py", "conformance", "models/test_[!s]*.py",
                   "models/test_static*.py")  # fmt: skip
"""Without the leaks, which take long, and the model of a session."""

ROOMS: Final = {
    room.name: room
    for room in (
        Room("actors", ("actors",), _RUNTIME),
        Room("supervisor", ("supervisor",), _RUNTIME),
        Room("session", ("session",), ("session", "models/test_session*.py", "ops/inspection")),
        Room("wire", ("wire",), ("wire", "connection")),
        Room("ingest", ("ingest",), ("ingest",)),
        Room("broadcast", ("broadcast",), ("broadcast", "connection")),
        Room("connection", ("connection",), ("connection", "server/test_limits.py")),
        Room("auth", ("auth",), ("auth", "api/test_sessions.py", "cli/test_gen*.py",
                                    "connection/test_handshake.py")),
        Room("store", ("store/database.py", "store/postgres.py"), ("store",)),
        Room(
            "group_commit", ("store/group_commit.py",), ("store/test_group_commit.py",)
        ),
        Room(
            "write_behind", ("store/write_behind.py",), ("store/test_write_behind.py",)
        ),
        Room("api", ("api", "http", "net", "telemetry/unexpected.py"),
             ("api", "http", "net", "telemetry/test_unexpected.py")),
        Room("client", ("client",), ("client",)),
        Room("links", ("model/join_link.py",), ("model/test_join_link.py",)),
        Room("simulate", ("simulate/gpx.py", "simulate/pace.py", "simulate/track.py",
                          "simulate/ledger.py"),
             ("simulate/test_gpx.py", "simulate/test_track.py", "simulate/test_ledger.py")),
    )
}  # fmt: skip
