"""Where the frames are in what a client sent: a scanner in front of the protocol object.

Nearly everything that a phone sends is a whole, final, masked text frame. Recognising that takes a
look at two bytes; running it through the protocol object's parser takes fifteen times as long. So
the transport cuts the stream into whole frames with this, unmasks the plain ones itself and gives
everything else to the protocol, which stays the only judge of what is allowed. Pure.

Because the protocol only ever gets whole frames, it is between two frames whenever nothing is
being fed to it.
"""

INCOMPLETE = 0
"""More bytes are needed to know, or to have, the whole frame."""
UNUSUAL = -1
"""Not a frame to wait for: unmasked, or longer than the limit. The protocol will say what of it."""

_MASKED = 0x80


def frame_end(data: bytes, start: int, limit: int) -> int:
    """Where the frame that begins at ``start`` ends, or INCOMPLETE or UNUSUAL.

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
    """Where the payload of the whole, masked frame at ``start`` begins; the mask is before it."""
    length = data[start + 1] & 0x7F
    if length < 126:
        return start + 6
    return start + (8 if length == 126 else 14)
