"""The report as Markdown, as GitHub renders it, its charts as files beside it."""

import re
from collections.abc import Iterator, Sequence

from bench.report.blocks import (
    Block,
    Cards,
    Cell,
    Code,
    Column,
    Facts,
    Gallery,
    Heading,
    Items,
    Paragraph,
    Report,
    Row,
    Table,
)

CHARTS = "charts"
"""The folder of the charts, beside the file."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$&])")
_STARTS_A_LIST = re.compile(r"^([-+]|\d+[.)])(?=\s|$)")


def markdown(report: Report) -> str:
    """The whole file."""
    lines = [f"# {escaped(report.title)}"]
    for block in report.head:
        lines += ["", *_block(block)]
    for section in report.sections:
        lines += ["", f"## {escaped(section.title)}"]
        for block in section.blocks:
            lines += ["", *_block(block)]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """As it is, in one line, wherever it stands."""
    text = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    return _STARTS_A_LIST.sub(_harmless, text)


def _harmless(found: "re.Match[str]") -> str:
    return found[1][:-1] + "\\" + found[1][-1]


def _block(block: Block) -> Iterator[str]:
    match block:
        case Table():
            yield from _table(block)
        case Heading():
            yield f"### {escaped(block.text)}"
        case Paragraph():
            yield escaped(block.text)
        case Items():
            yield from _items(block)
        case Code():
            fence = "`" * max(3, *(len(each) + 1 for each in re.findall("`+", block.text)), 3)
            yield from (f"{fence}text", block.text, fence)
        case Facts():
            yield from (f"- {escaped(name)}: {escaped(value)}" for name, value in block.pairs)
        case Cards():
            yield from _cards(block)
        case Gallery():
            for picture in block.pictures:
                yield f"**{escaped(picture.title)}**"
                yield ""
                yield f"![{escaped(picture.alt)}]({CHARTS}/{picture.key}.svg)"
                yield ""
                if picture.note:
                    yield escaped(picture.note)
                    yield ""


def _items(block: Items) -> Iterator[str]:
    mark = "> " if block.warning else ""
    if block.warning:
        yield "> [!WARNING]"
    if block.title:
        yield f"{mark}**{escaped(block.title)}**"
        yield mark.rstrip()
    yield from (f"{mark}- {escaped(item)}" for item in block.items)


def _cards(block: Cards) -> Iterator[str]:
    rows = [
        Row(
            (
                Cell(card.title),
                Cell(card.subtitle),
                Cell(f"{card.figure} {card.unit}"),
                Cell(", ".join(line.text for line in card.lines)),
            )
        )
        for card in block.cards
    ]
    columns = (Column("target"), Column("what it is"), Column("score"), Column("criteria"))
    yield from _table(Table(columns, tuple(rows)))


def _table(table: Table) -> Iterator[str]:
    yield _line([escaped(column.text) for column in table.columns])
    yield _line(["---:" if column.numeric else "---" for column in table.columns])
    for row in table.rows:
        heading = len(row.cells) == 1
        cells = [_cell(each, strong=row.strong or heading) for each in row.cells]
        yield _line(cells + [""] * (len(table.columns) - len(cells)))
    for number, note in enumerate(table.notes, 1):
        yield ""
        yield f"({number}) {escaped(note)}"


def _cell(each: Cell, *, strong: bool) -> str:
    text = escaped(each.text)
    if text and (strong or each.tone == "fail"):
        text = f"**{text}**"
    return text + "".join(f" ({number})" for number in each.notes)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
