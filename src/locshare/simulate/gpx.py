"""Reads recorded tracks from GPX files as recorders write them, valid or not.

gpxpy and strict parsers refuse a whole recording for one bad point, a ``<fix>`` of an unknown kind
or a blank line before ``<?xml``. This parser ignores everything but tracks, routes, points,
elevations and times, and skips and counts unusable points. A truncated file gives what comes before
the break. Every remark and every refusal names the line.

The parser is expat: it reads no external entities, and an entity declaration is refused before any
expansion, as in defusedxml. Times become seconds in :mod:`locshare.simulate.timing`.
"""

import codecs
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, final
from xml.parsers import expat

from msgspec import Struct

from locshare.model.errors import LocshareError
from locshare.simulate.geo import Place
from locshare.simulate.timing import DEFAULT_SPEED_M_S, Recorded, assign_times
from locshare.simulate.track import TrackPoint

MAX_FILE_BYTES: Final = 64 * 2**20
MAX_POINTS: Final = 1_000_000
"""About 300 MB in memory: twelve days of one point per second."""
_MAX_QUOTED: Final = 40
"""Characters of the file that a message quotes."""

_CHILDREN: Final = {
    "gpx": {"trk", "rte", "wpt"},
    "trk": {"trkseg", "trkpt"},
    "trkseg": {"trkpt"},
    "rte": {"rtept"},
    "wpt": set[str](),
    "trkpt": {"ele", "time"},
    "rtept": {"ele", "time"},
    "ele": set[str](),
    "time": set[str](),
}
"""Elements that are read, in GPX 1.0 and 1.1; all others are skipped with their contents."""

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is a prefix of this one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED: Final = re.compile(
    rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z][\w.-]{0,39})[\"']"
)
_NO_CHARACTER: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow, yet names in recordings contain."""
_NO_REFERENCE: Final = re.compile(r"&(?!#\d{1,7};|#x[0-9A-Fa-f]{1,6};|(?:amp|lt|gt|quot|apos);)")
"""An unescaped ampersand, or one of HTML's entities."""
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)


class UnusableTrack(LocshareError):
    """Not a GPX file, or without a track of two points. The text names file and reason."""


class Recording(Struct, frozen=True):
    """What a file gave: its tracks, each of at least two points, and what was passed over, one
    sentence each, for the user.
    """

    tracks: list[list[TrackPoint]]
    remarks: tuple[str, ...] = ()


def read_gpx(path: Path, *, speed: float = DEFAULT_SPEED_M_S) -> Recording:
    """The tracks in the file at ``path``. Where it has no usable times they are gone at ``speed``
    m/s. Raises UnusableTrack, also when there is no track in it.
    """
    try:
        with path.open("rb") as file:
            # Bounded by reading: the size of a pipe is 0.
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UnusableTrack(f"{path}: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise UnusableTrack(f"{path}: larger than {MAX_FILE_BYTES // 2**20} MiB, the most allowed")
    return parse_gpx(data, speed=speed, name=str(path))


def parse_gpx(data: bytes, *, speed: float = DEFAULT_SPEED_M_S, name: str = "GPX") -> Recording:
    """The tracks in a GPX document, as :func:`read_gpx`; messages begin with ``name``."""
    text = _decoded(data, name)
    body = text.lstrip("\ufeff\u200b \t\r\n\v\f\x00")
    if not body:
        raise UnusableTrack(f"{name}: the file is empty")
    reader = _GpxReader(name, before=text[: len(text) - len(body)].count("\n"))
    reader.read(_NO_REFERENCE.sub("&amp;", _NO_CHARACTER.sub("", body)))
    timed = [assign_times(way, speed) for way in reader.tracks]
    tracks = [points for points, _ in timed if len(points) > 1]
    estimated = sum(count for points, count in timed if len(points) > 1)
    if not tracks:
        raise UnusableTrack(f"{name}: {reader.no_track_reason()}")
    return Recording(tracks, tuple(f"{name}: {each}" for each in reader.remarks(estimated)))


def _decoded(data: bytes, name: str) -> str:
    """Text in whatever encoding. An invalid byte becomes a replacement character, which can spoil
    the point that contains it and nothing else.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    encoding = _without_mark(data)
    try:
        return data.decode(encoding, "replace")
    except (LookupError, UnicodeError) as error:
        raise UnusableTrack(
            f"{name}: line 1: the encoding {encoding!r} is not known; save the file as UTF-8"
        ) from error


def _without_mark(data: bytes) -> str:
    """The encoding by the zeros in the first character, which is ASCII, or by the declaration."""
    # UTF-32 is read as UTF-16 with zeros between, which are dropped: XML does not allow them.
    if data[:1] == b"\0":
        return "utf-16-be"
    if data[1:2] == b"\0":
        return "utf-16-le"
    declared = _DECLARED.match(data)
    encoding = declared[1].decode("ascii") if declared else "utf-8"
    # A declaration that is readable byte by byte is not in a wide encoding.
    wide = encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32", "ucs-"))
    return "utf-8" if wide else encoding


@final
class _GpxReader:
    """The handlers of one parse, and their results."""

    def __init__(self, name: str, before: int) -> None:
        """``before``: the number of lines before the text."""
        self.tracks: list[list[Recorded]] = []
        self._name = name
        self._before = before
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.EntityDeclHandler = self._entity
        self._open: list[str] = []
        self._skipping = 0
        """Depth within an element that is not read."""
        self._space = ""
        self._spaces: dict[str, str] = {}
        self._points = 0
        self._attributes: dict[str, str] = {}
        self._line = 0
        self._parts: dict[str, str] = {}
        self._found: Counter[str] = Counter()
        self._skipped: list[str] = []
        self._skipped_count = 0
        self._broken = ""

    def read(self, text: str) -> None:
        """Parse ``text``. Raises UnusableTrack when it is no GPX."""
        try:
            self._parser.Parse(text, True)
        except expat.ExpatError as error:
            reason = f"line {self._before + error.lineno}: {expat.ErrorString(error.code)}"
            if not self._points:
                raise UnusableTrack(f"{self._name}: not a GPX file: {reason}") from error
            self._broken = reason

    def no_track_reason(self) -> str:
        """The reason for which a document without tracks is refused."""
        reasons = []
        if self._skipped_count:
            reasons.append(self._skips())
        if self._found["wpt"]:
            reasons.append(f"it has {self._found['wpt']} waypoints, which are places and no way")
        if self._broken:
            reasons.append(f"it breaks off at {self._broken}")
        return "; ".join(["no track or route with two different points", *reasons])

    def remarks(self, estimated: int) -> list[str]:
        """What was passed over, when ``estimated`` points have a time of ours."""
        remarks = []
        if self._skipped_count:
            remarks.append(self._skips())
        if estimated:
            remarks.append(
                f"{_count(estimated, 'point')} without a usable time: estimated from the way"
            )
        if self._broken:
            remarks.append(f"breaks off at {self._broken}; what comes before is used")
        return remarks

    def _skips(self) -> str:
        return f"{_count(self._skipped_count, 'point')} skipped, the first at {self._skipped[0]}"

    # --- handlers ---------------------------------------------------------------------------------

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._skipping:
            self._skipping += 1
            return
        space, name = self._resolved(tag, attributes)
        if not self._open:
            if name != "gpx":
                raise self._refusal(f"not a GPX file: its root is <{_quoted(tag)[1:-1]}>")
            self._space = space
        elif space != self._space or name not in _CHILDREN[self._open[-1]]:
            self._skipping = 1
            return
        self._open.append(name)
        self._found[name] += 1
        if name in ("trk", "trkseg", "rte"):
            self.tracks.append([])
        elif name in ("trkpt", "rtept"):
            self._attributes = attributes
            self._line = self._here()
            self._parts = {}

    def _end(self, _tag: str) -> None:
        if self._skipping:
            self._skipping -= 1
        elif self._open.pop() in ("trkpt", "rtept"):
            self._point()

    def _text(self, text: str) -> None:
        if not self._skipping and self._open[-1] in ("ele", "time"):
            self._parts[self._open[-1]] = self._parts.get(self._open[-1], "") + text

    def _entity(self, *_declaration: object) -> None:
        raise self._refusal(
            "entities are not allowed: no GPX file needs them, and nested ones grow without bound"
        )

    def _resolved(self, tag: str, attributes: dict[str, str]) -> tuple[str, str]:
        """Namespace and local name. Expat's resolution refuses prefixes that recorders forget to
        declare.
        """
        prefix, _, name = tag.rpartition(":")
        key = f"xmlns:{prefix}" if prefix else "xmlns"
        if not self._open:
            self._spaces = {k: v for k, v in attributes.items() if k.startswith("xmlns")}
        return attributes.get(key) or self._spaces.get(key) or prefix, name

    def _point(self) -> None:
        problem = None
        place = [0.0, 0.0]
        for at, (name, limit) in enumerate((("lat", 90), ("lon", 180))):
            text = self._attributes.get(name)
            value = None if text is None else _number(text)
            if text is None:
                problem = problem or f"{name} is missing"
            elif value is None:
                problem = problem or f"{name} {_quoted(text)} is not a number"
            elif not -limit <= value <= limit:
                problem = problem or f"{name} {_quoted(text)} is not from -{limit} to {limit}"
            else:
                place[at] = value
        if problem is not None:
            self._skipped_count += 1
            if not self._skipped:
                self._skipped.append(f"line {self._line}: {problem}")
            return
        self._points += 1
        if self._points > MAX_POINTS:
            raise self._refusal(f"more than {MAX_POINTS:,} points, the most allowed")
        time, altitude = self._parts.get("time"), self._parts.get("ele")
        moment = None if time is None else _moment(time)
        self.tracks[-1].append(
            Recorded(
                Place(*place),
                time is not None,
                moment,
                None if altitude is None else _number(altitude),
            )
        )

    def _here(self) -> int:
        return self._before + self._parser.CurrentLineNumber

    def _refusal(self, reason: str) -> UnusableTrack:
        return UnusableTrack(f"{self._name}: line {self._here()}: {reason}")


def _number(text: str) -> float | None:
    """A number as recorders write it, with a decimal point or comma; None if it is not one."""
    text = text.strip()
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def _moment(text: str) -> datetime | None:
    """A time of XML Schema, also with a leap second or a blank for the T; UTC when it names no
    zone, as GPX has it. None when it is no time.
    """
    text = text.strip().upper()
    leap = timedelta()
    if re.search(r":60(?:\D|$)", text):  # fromisoformat knows no leap seconds
        text = re.sub(r":60(?=\D|$)", ":59", text)
        leap = timedelta(seconds=1)
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC) + leap
    except (ValueError, OverflowError):
        return None


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
