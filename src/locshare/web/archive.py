"""A map file: one PMTiles archive (https://docs.protomaps.com/pmtiles/) from which tiles are read.

Blocking, for worker threads (:mod:`locshare.web.tiles`). Reads are ``pread`` on one open file, so
threads share it and a file that is replaced by renaming is still read whole. Not ``mmap``: a file
that is cut short while it is mapped ends the process with SIGBUS.

An archive is recognised by its inode, size and time of change. What was read before a change is
thrown away with the :class:`MapArchive`.
"""

import gzip
import hashlib
import json
import os
import threading
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final, NamedTuple, final

from msgspec import Struct
from pmtiles.tile import (
    Compression,
    Entry,
    HeaderDict,
    MagicNumberNotFound,
    SpecVersionUnsupported,
    TileType,
    deserialize_directory,
    deserialize_header,
    find_tile,
    zxy_to_tileid,
)

from locshare.model.errors import LocshareError

HEADER_BYTES: Final = 127
MAX_TILE_BYTES: Final = 8 * 1024 * 1024
"""Of one tile, as stored and when decompressed; those of usual maps have less than 1 MiB."""
MAX_DIRECTORY_BYTES: Final = 16 * 1024 * 1024
MAX_METADATA_BYTES: Final = 4 * 1024 * 1024
_DEPTH: Final = 4
"""Of directories, by the specification."""
_LEAVES: Final = 64
"""Parsed leaf directories that are kept."""

_TYPES: Final = {
    TileType.MVT: ("mvt", "application/vnd.mapbox-vector-tile"),
    TileType.PNG: ("png", "image/png"),
    TileType.JPEG: ("jpg", "image/jpeg"),
    TileType.WEBP: ("webp", "image/webp"),
    TileType.AVIF: ("avif", "image/avif"),
}
_BROKEN: Final = (
    EOFError, ValueError, IndexError, KeyError, OverflowError, zlib.error, gzip.BadGzipFile,
    MagicNumberNotFound, SpecVersionUnsupported, RecursionError,
)  # fmt: skip
"""What the library raises for bytes that are no archive."""


class BadMapFile(LocshareError):
    """The map file cannot be used. The text says which file, why, and the way out."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"map_file {path}: {why}. Give a PMTiles archive of version 3 (`pmtiles verify` checks "
            "it), or leave map_file out"
        )


class Identity(NamedTuple):
    """By which a file is recognised."""

    inode: int
    size: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Identity":
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


class Tile(Struct, frozen=True):
    """``data`` as it is in the archive."""

    data: bytes
    gzipped: bool


@final
class MapArchive:
    """One version of a map file. Raises BadMapFile, OSError when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.identity = Identity.of(os.fstat(self._file))
            self._open()
        except _BROKEN as error:
            os.close(self._file)
            raise BadMapFile(path, f"is no readable archive ({type(error).__name__})") from None
        except BaseException:
            os.close(self._file)
            raise
        self._leaves: OrderedDict[int, list[Entry]] = OrderedDict()
        self._lock = threading.Lock()

    def __del__(self) -> None:
        # By the last thread that reads from it.
        if hasattr(self, "_lock"):
            os.close(self._file)

    def _open(self) -> None:
        head = self._read(0, HEADER_BYTES)
        self.header: HeaderDict = deserialize_header(head)
        header = self.header
        if header["internal_compression"] is not Compression.GZIP:
            raise BadMapFile(self.path, "its directories are not compressed with gzip")
        if header["tile_compression"] not in (
            Compression.GZIP, Compression.NONE, Compression.UNKNOWN,
        ):  # fmt: skip
            name = header["tile_compression"].name.lower()
            raise BadMapFile(self.path, f"its tiles are compressed with {name}, not with gzip")
        if header["tile_type"] not in _TYPES:
            raise BadMapFile(self.path, "its tiles are of a type that browsers do not show")
        end = header["tile_data_offset"] + header["tile_data_length"]
        if end > self.identity.size:
            missing = end - self.identity.size
            raise BadMapFile(self.path, f"is cut short: {missing} bytes are missing")
        packed = self._read(header["root_offset"], header["root_length"], MAX_DIRECTORY_BYTES)
        self._root = _directory(packed)
        metadata = self._read(
            header["metadata_offset"], header["metadata_length"], MAX_METADATA_BYTES
        )
        parsed = json.loads(inflate(metadata, MAX_METADATA_BYTES)) if metadata else {}
        self.metadata: dict[str, Any] = parsed if isinstance(parsed, dict) else {}
        self.extension, self.content_type = _TYPES[header["tile_type"]]
        digest = hashlib.sha256(head + packed + metadata)
        digest.update(repr((self.identity.size, self.identity.changed_ns)).encode())
        self.version = digest.hexdigest()[:12]

    def has_zoom(self, z: int) -> bool:
        """Whether the archive may have tiles of this zoom."""
        return self.header["min_zoom"] <= z <= self.header["max_zoom"]

    def tile(self, z: int, x: int, y: int) -> Tile | None:
        """None for a tile that is not in it. Blocks. Raises BadMapFile, OSError."""
        try:
            wanted = zxy_to_tileid(z, x, y)
            directory = self._root
            for _ in range(_DEPTH):
                entry = find_tile(directory, wanted)
                if entry is None:
                    return None
                if entry.run_length:
                    at = self.header["tile_data_offset"] + entry.offset
                    data = self._read(at, entry.length, MAX_TILE_BYTES)
                    return Tile(data, data[:2] == b"\x1f\x8b")
                directory = self._leaf(entry.offset, entry.length)
        except _BROKEN as error:
            raise BadMapFile(self.path, f"is broken ({type(error).__name__})") from None
        return None

    def is_changed(self) -> bool:
        """Whether the open file was written to since it was opened."""
        return Identity.of(os.fstat(self._file)) != self.identity

    def _leaf(self, offset: int, length: int) -> list[Entry]:
        with self._lock:
            known = self._leaves.get(offset)
            if known is not None:
                self._leaves.move_to_end(offset)
                return known
        at = self.header["leaf_directory_offset"] + offset
        entries = _directory(self._read(at, length, MAX_DIRECTORY_BYTES))
        with self._lock:
            self._leaves[offset] = entries
            if len(self._leaves) > _LEAVES:
                self._leaves.popitem(last=False)
        return entries

    def _read(self, offset: int, length: int, most: int = HEADER_BYTES) -> bytes:
        if length > most:
            raise ValueError("too long")
        data = os.pread(self._file, length, offset)
        if len(data) < length:
            raise EOFError
        return data


def inflate(data: bytes, most: int) -> bytes:
    """``data``, which is gzip, decompressed to at most ``most`` bytes. Raises ValueError,
    zlib.error.
    """
    unpacking = zlib.decompressobj(wbits=31)
    plain = unpacking.decompress(data, most)
    if unpacking.unconsumed_tail or not unpacking.eof:
        raise ValueError("too long, or cut short")
    return plain


def _directory(packed: bytes) -> list[Entry]:
    inflate(packed, MAX_DIRECTORY_BYTES)  # the library's own has no limit
    return deserialize_directory(packed)
