"""Which tests share a worker when the suite runs in parallel (`pytest -n auto`, as `make test`).

All tests of a group run on one worker, one after the other. **A file is a group**: what its tests
share (a module's fixture, a server) is made once. Session-scoped fixtures, the PostgreSQL of
tests/postgres.py among them, are made once in each worker that uses them; so two files may not
meet in anything that the machine has once: a fixed port, a file outside of the test's own folder.
Where they do, both say `pytestmark = pytest.mark.xdist_group("name")`, and run one after the other.

Every worker collects for itself, so a parameter that names a test is no random one: a fixed UUID,
or `ids=`.

The groups that take longest begin first, so that no worker is left with a long one at the end.
"""

from functools import cache
from pathlib import Path
from typing import Final

import pytest

_SLOW: Final = (
    "bench/driver", "bench/solo", "bench", "documents", "e2e", "fuzz", "faults", "cli", "phone",
    "supervisor/test_leaks", "models", "contract", "monitoring", "maintenance", "store", "web",
    "test_packaging", "tools", "server", "ops", "supervisor", "connection", "session",
)  # fmt: skip
"""Folders and files, slowest first; the others, which take a second a file, follow in their own
order, and keep all workers busy until the end.
"""


def group_of(item: pytest.Item) -> str:
    """A file is a group; of the contract, each server is one."""
    callspec = getattr(item, "callspec", None)
    if callspec is not None and "server" in callspec.params and item.path.parent.name == "contract":
        return f"contract-{callspec.params['server']}"
    return _name_of(item.path, item.config.rootpath)


@cache
def _name_of(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def in_groups(items: list[pytest.Item], folder: Path) -> None:
    """Name every test's group, unless it names one, and put the slow ones first."""

    @cache  # the files are few, the tests many
    def rank_of(path: Path) -> int:
        place = path.relative_to(folder).as_posix()
        return next((n for n, slow in enumerate(_SLOW) if place.startswith(slow)), len(_SLOW))

    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(group_of(item)))
    items.sort(key=lambda item: rank_of(item.path))


def require_groups(session: pytest.Session) -> None:
    """Refuse to run in parallel when pytest-xdist has not understood the groups: it marks each
    test's id with its group, and without that spreads a file over all workers.
    """
    if hasattr(session.config, "workerinput"):
        alone = [item.nodeid for item in session.items if "@" not in item.nodeid.rpartition("]")[2]]
        if alone:
            raise pytest.UsageError(f"pytest-xdist sees no group of {alone[0]} and others")
