"""Where one WebSocket frame ends and the next begins. Pure.

Nearly every frame is a complete message. Those are cut out here, in a quarter of the time of a
full parser; all others are left to the library.
"""

_FINAL_TEXT, _FINAL_BINARY = 0x81, 0x82
_MASKED = 0x80
_TWO_BYTES, _EIGHT_BYTES = 126, 127


def cut(data: bytes, at: int) -> tuple[list[bytes], int]:
    """The payloads of complete, final, unmasked frames with data from ``at`` on, and where they
    end: at the end of ``data``, at a frame of another kind, or at an incomplete one.
    """
    found: list[bytes] = []
    size = len(data)
    while at + 2 <= size and (data[at] == _FINAL_TEXT or data[at] == _FINAL_BINARY):
        start = at + 2
        length = data[at + 1]
        if length >= _TWO_BYTES:
            if length & _MASKED:
                break
            start += 2 if length == _TWO_BYTES else 8
            if start > size:
                break
            length = int.from_bytes(data[at + 2 : start], "big")
        end = start + length
        if end > size:
            break
        found.append(data[start:end])
        at = end
    return found, at


def end_of_frame(data: bytes, at: int) -> int:
    """Where the frame of any kind at ``at`` ends; 0 when it is incomplete."""
    size = len(data)
    if at + 2 > size:
        return 0
    start = at + 2
    length = data[at + 1] & ~_MASKED
    if length >= _TWO_BYTES:
        start += 2 if length == _TWO_BYTES else 8
        length = int.from_bytes(data[at + 2 : start], "big")
    if data[at + 1] & _MASKED:
        start += 4
    return start + length if start <= size and start + length <= size else 0
