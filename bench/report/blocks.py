"""The content of a report, before it is HTML or Markdown. Texts are plain, and untrusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from bench.results import Results

Tone = Literal["", "pass", "fail", "missing", "warn"]


@dataclass(frozen=True, slots=True)
class Cell:
    """``swatch`` is the number of a target, for its colour; ``notes`` refer to the table's."""

    text: str
    tone: Tone = ""
    notes: tuple[int, ...] = ()
    swatch: int | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """Numbers stand at the right."""

    text: str
    numeric: bool = False
    swatch: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """The first cell is its name. A single cell is a heading of the rows below."""

    cells: tuple[Cell, ...]
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """``notes`` are numbered from 1 and stand below it."""

    kind: ClassVar[str] = "table"
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heading:
    """Within a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list; ``warning`` makes it stand out."""

    kind: ClassVar[str] = "items"
    items: tuple[str, ...]
    title: str = ""
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    kind: ClassVar[str] = "facts"
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Card:
    """A summary of one target."""

    title: str
    subtitle: str
    swatch: int
    figure: str
    unit: str
    lines: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Cards:
    """Side by side."""

    kind: ClassVar[str] = "cards"
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart. ``svg`` is one element without a declaration; ``key`` names its file and makes its
    ids unique; ``note`` is printed below it.
    """

    key: str
    title: str
    alt: str
    svg: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Charts in a grid."""

    kind: ClassVar[str] = "gallery"
    pictures: tuple[Picture, ...]


Block = Table | Heading | Paragraph | Items | Code | Facts | Cards | Gallery


@dataclass(frozen=True, slots=True)
class Section:
    """A part with a title."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Report:
    title: str
    head: tuple[Block, ...]
    sections: tuple[Section, ...]

    @property
    def pictures(self) -> Sequence[Picture]:
        return [
            picture
            for section in self.sections
            for block in section.blocks
            if isinstance(block, Gallery)
            for picture in block.pictures
        ]


MISSING = Cell("not measured", "missing")


def cell(text: str | None) -> Cell:
    """None was not measured."""
    return MISSING if text is None or text == MISSING.text else Cell(text)


def row(*cells: Cell | str, strong: bool = False) -> Row:
    return Row(tuple(Cell(each) if isinstance(each, str) else each for each in cells), strong)


def heading(text: str) -> Row:
    """Of the rows below it."""
    return row(text)


def columns_of(results: Results, *, numeric: bool = True) -> list[Column]:
    """One for each target, in its colour."""
    return [
        Column(each.name, numeric=numeric, swatch=place)
        for place, each in enumerate(results.targets)
    ]
