"""The keyboard of a terminal, key by key, for a Trio task."""

import os
import re
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio

_SEQUENCES: Final = {
    "\x1b[A": "up", "\x1bOA": "up",
    "\x1b[B": "down", "\x1bOB": "down",
    "\x1b[5~": "pageup", "\x1b[6~": "pagedown",
    "\x1b[H": "home", "\x1bOH": "home", "\x1b[1~": "home",
    "\x1b[F": "end", "\x1bOF": "end", "\x1b[4~": "end",
    "\x03": "ctrl-c",
}  # fmt: skip
_KEY: Final = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])?|.", re.DOTALL)


def split_keys(text: str) -> list[str]:
    """The names of the keys that a terminal sent: ``up``, ``pagedown``, ``ctrl-c``, or the
    character. Sequences that mean nothing here are left out.
    """
    keys = []
    for found in _KEY.findall(text):
        name = _SEQUENCES.get(found, found if len(found) == 1 and found.isprintable() else "")
        if name:
            keys.append(name)
    return keys


@contextmanager
def raw_keyboard(descriptor: int) -> Iterator[None]:
    """Keys come at once and are not shown, until the end of the block, whatever ends it."""
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


async def read_keys(descriptor: int) -> list[str]:
    """Wait for keys. An empty list is the end of the input."""
    while True:
        await trio.lowlevel.wait_readable(descriptor)
        data = os.read(descriptor, 1024)
        if not data:
            return []
        keys = split_keys(data.decode(errors="replace"))
        if keys:
            return keys
