"""A frame scanner in front of the protocol object. Pure.

Nearly everything that a phone sends is a whole, final, masked text frame. Two bytes suffice to
recognise one; the protocol object's parser takes fifteen times as long. So the transport cuts the
stream into whole frames with this scanner, unmasks the plain ones, and passes everything else to
the protocol object, which alone judges what is allowed.

The protocol object only ever gets whole frames, so between two calls it is between two frames.
"""

INCOMPLETE = 0
"""More bytes are needed to see, or to have, the whole frame."""
UNUSUAL = -1
"""Unmasked, or longer than the limit: pass it to the protocol object, do not wait for the rest."""

_MASKED = 0x80
_TEXT_FINAL = 0x81
_SHORT = range(_MASKED, _MASKED + 126)  # second bytes of masked frames whose length is in them
_LONGER = _MASKED | 126


def frame_end(data: bytes, start: int, limit: int) -> int:
    """The end of the frame that begins at ``start``, or INCOMPLETE or UNUSUAL.

    ``limit`` is the longest payload worth waiting for, in bytes.
    """
    available = len(data)
    if available < start + 2:
        return INCOMPLETE
    second = data[start + 1]
    if not second & _MASKED:
        return UNUSUAL
    length = second & 0x7F
    if length < 126:
        end = start + 6 + length
    else:
        header = start + (4 if length == 126 else 10)
        if available < header:
            return INCOMPLETE
        length = int.from_bytes(data[start + 2 : header], "big")
        if length > limit:
            return UNUSUAL
        end = header + 4 + length
    return end if end <= available else INCOMPLETE


def payload_start(data: bytes, start: int) -> int:
    """The start of the payload of the whole, masked frame at ``start``. The mask precedes it."""
    length = data[start + 1] & 0x7F
    if length < 126:
        return start + 6
    return start + (8 if length == 126 else 14)


def text_start(data: bytes, longest: int) -> int:
    """The start of the payload of ``data``, if that is exactly one whole text frame, as nearly
    everything is that a client sends. 0 for anything else, and for a payload of more than
    ``longest`` bytes: what becomes of those is found out frame by frame.
    """
    size = len(data)
    if size < 6 or data[0] != _TEXT_FINAL:
        return 0
    second = data[1]
    if second in _SHORT:
        start = 6
        length = second - _MASKED
    elif second == _LONGER and size >= 8:
        start = 8
        length = data[2] << 8 | data[3]
    else:
        return 0
    return start if start + length == size and length <= longest else 0
