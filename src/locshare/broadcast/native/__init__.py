"""The send loop of a flush: compiled (``_native.c``) where that could be built, else in Python.

``LOCSHARE_PURE_PYTHON=1`` takes the one in Python in any case.
"""

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING, Final, Literal

from locshare.broadcast.native import pure
from locshare.config.loading import PURE_PYTHON_VARIABLE

__all__ = ["IMPLEMENTATION", "Exit", "Fan", "WriteCounters"]


def _compiled() -> ModuleType | None:
    """None when it is not built for this Python, or not wanted."""
    if os.environ.get(PURE_PYTHON_VARIABLE, "") not in ("", "0"):
        return None
    try:
        return importlib.import_module("locshare.broadcast.native._native")
    except ImportError:
        return None


_found: Final = _compiled()

IMPLEMENTATION: Final[Literal["compiled", "python"]] = "python" if _found is None else "compiled"
"""Which is in use: in the log line ``ready``, ``locshare checkconfig`` and a metric."""

if TYPE_CHECKING:
    from locshare.broadcast.native.pure import Exit, Fan, WriteCounters
else:
    _chosen = _found or pure
    Exit, Fan, WriteCounters = _chosen.Exit, _chosen.Fan, _chosen.WriteCounters
