"""Servers that can be measured: those that are there already, given by their address
(:func:`parse`), and those that are started here (:func:`started`).
"""

from bench.targets.counting import facts
from bench.targets.foreign import FORM, parse
from bench.targets.local import STARTABLE, started
from bench.targets.target import NotServing, Target

__all__ = ["FORM", "STARTABLE", "NotServing", "Target", "facts", "parse", "started"]
