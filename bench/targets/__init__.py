"""Servers that can be measured: given by their address (:func:`parse`), or started here
(:func:`started`).
"""

from bench.errors import NotServing
from bench.targets.counting import code_of, facts
from bench.targets.local import OF_EVERY_DIALECT, STARTABLE, started
from bench.targets.remote import FORM, parse
from bench.targets.target import Target

__all__ = [
    "FORM",
    "OF_EVERY_DIALECT",
    "STARTABLE",
    "NotServing",
    "Target",
    "code_of",
    "facts",
    "parse",
    "started",
]
