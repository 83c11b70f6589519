"""Lines from a byte stream, bounded."""

from typing import Final, final

import trio

_CHUNK: Final = 65_536


class LineTooLong(Exception):
    """More than ``max_bytes`` came without a line end. The stream cannot be used further."""


@final
class LineReader:
    """Reads ``stream`` line by line; a line has at most ``max_bytes``.

    One task reads. Cancelled in the middle of a line it loses nothing: the next call goes on.
    """

    def __init__(self, stream: trio.abc.ReceiveStream, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._searched = 0

    async def read(self) -> bytes | None:
        """The next line without its end, None at the end of the stream (a part of a line that the
        peer did not finish is dropped). Raises LineTooLong, trio.BrokenResourceError.
        """
        buffer = self._buffer
        while (end := buffer.find(b"\n", self._searched)) < 0:
            self._searched = len(buffer)
            if len(buffer) > self._max_bytes:
                raise LineTooLong
            chunk = await self._stream.receive_some(_CHUNK)
            if not chunk:
                return None
            buffer += chunk
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        self._searched = 0
        return line
