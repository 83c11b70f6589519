"""Keys from a terminal."""

import os
import pty
import termios

import pytest
import trio

from locshare.ops.top.keys import raw_keyboard, read_keys, split_keys
from tests.running import LAST_RESORT_S


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("q", ["q"]),
        ("\x1b[A\x1b[B", ["up", "down"]),
        ("\x1bOA", ["up"]),
        ("\x1b[5~\x1b[6~", ["pageup", "pagedown"]),
        ("\x1b[H\x1b[F\x1b[1~\x1b[4~", ["home", "end", "home", "end"]),
        ("jjK", ["j", "j", "K"]),
        ("\x03", ["ctrl-c"]),
        ("\x1b[1;5C", []),
        ("\x1b", []),
        ("\x00\r\n\t", []),
        ("é", ["é"]),
    ],
)
def test_what_a_terminal_sends(sent: str, keys: list[str]) -> None:
    assert split_keys(sent) == keys


async def test_keys_come_at_once_and_the_terminal_is_as_it_was_afterwards() -> None:
    ours, theirs = pty.openpty()
    try:
        before = termios.tcgetattr(theirs)
        with trio.fail_after(LAST_RESORT_S):
            with raw_keyboard(theirs):
                os.write(ours, b"x\x1b[A")
                keys = await read_keys(theirs)
                while len(keys) < 2:
                    keys += await read_keys(theirs)
        assert keys == ["x", "up"]
        assert termios.tcgetattr(theirs) == before
    finally:
        os.close(ours)
        os.close(theirs)
