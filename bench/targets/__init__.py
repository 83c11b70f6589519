"""Servers that can be measured: those that are there already, given by their address
(:func:`parse`), and those that are started here (:func:`started`).
"""

from bench.targets.local import STARTABLE, started
from bench.targets.target import NotServing, Target

__all__ = ["STARTABLE", "NotServing", "Target", "started"]
