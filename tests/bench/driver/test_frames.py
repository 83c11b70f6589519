"""Frames are cut where the ``websockets`` library puts their ends, however the stream is cut."""

import pytest
from websockets.frames import Frame, Opcode

from bench.driver.frames import cut, end_of_frame

SIZES = 0, 1, 125, 126, 127, 65_535, 65_536, 70_000


def frame(
    size: int, opcode: Opcode = Opcode.TEXT, *, mask: bool = False, fin: bool = True
) -> bytes:
    return Frame(opcode, bytes(each % 251 for each in range(size)), fin).serialize(mask=mask)


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
@pytest.mark.parametrize("size", SIZES)
def test_a_complete_frame_with_data_is_cut_out_and_an_incomplete_one_is_not(
    size: int, opcode: Opcode
) -> None:
    whole = frame(size, opcode)
    assert cut(whole + b"\x81", 0) == ([whole[len(whole) - size :]], len(whole))
    for end in {0, 1, 2, 3, 9, len(whole) - 1} - {len(whole)}:
        if end < len(whole):
            assert cut(whole[:end], 0) == ([], 0)
            assert end_of_frame(whole[:end], 0) == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mask", [False, True])
def test_the_end_of_any_frame_is_found(size: int, mask: bool) -> None:
    whole = frame(size, Opcode.BINARY, mask=mask)
    assert end_of_frame(b"xx" + whole + b"more", 2) == 2 + len(whole)


@pytest.mark.parametrize(
    "other",
    [
        frame(5, Opcode.PING),
        frame(2, Opcode.CLOSE),
        frame(5, fin=False),
        frame(5, Opcode.CONT),
        frame(5, mask=True),
        frame(300, mask=True),
    ],
    ids=["ping", "close", "unfinished", "continued", "masked", "long and masked"],
)
def test_cutting_stops_at_a_frame_of_another_kind(other: bytes) -> None:
    texts, at = cut(frame(3) + other + frame(3), 0)
    assert len(texts) == 1
    assert at == len(frame(3))
