"""What needs a Redis, as Debian brings it."""

import shutil
from typing import Final

import pytest

_MISSING: Final = "redis-server is not installed (apt install redis-server)"
needs_redis: Final = pytest.mark.skipif(shutil.which("redis-server") is None, reason=_MISSING)


def have_redis_or_skip(target: str) -> None:
    """Skip what runs on ``target`` where that is Redis' and there is none."""
    if target == "redis" and shutil.which("redis-server") is None:
        pytest.skip(_MISSING)
