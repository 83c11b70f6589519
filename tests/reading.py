"""A report as a reader gets it: its tables, its text, what it would fetch."""

from html.parser import HTMLParser
from typing import NamedTuple


class Page(NamedTuple):
    """``tables`` are rows of cells as text; ``attributes`` are (element, name, value)."""

    text: str
    tables: list[list[list[str]]]
    elements: set[str]
    attributes: list[tuple[str, str, str]]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page("", [], set(), [])
        self.texts: list[str] = []
        self._in_style = False
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.elements.add(tag)
        self.page.attributes.extend((tag, name, value or "") for name, value in attrs)
        self._in_style = tag == "style"
        if tag == "table":
            self.page.tables.append([])
        elif tag == "tr":
            self.page.tables[-1].append([])
        elif tag in ("td", "th"):
            self.page.tables[-1][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            return
        self.texts.append(data)
        if self._in_cell:
            self.page.tables[-1][-1][-1] += data


def read(html: str) -> Page:
    """Cells lose the white space around them."""
    reader = _Reader()
    reader.feed(html)
    tables = [[[cell.strip() for cell in row] for row in each] for each in reader.page.tables]
    return reader.page._replace(text=" ".join(reader.texts), tables=tables)


def column(table: list[list[str]], name: str) -> dict[str, str]:
    """The values under ``name`` by what their row begins with."""
    place = table[0].index(name)
    return {row[0]: row[place] for row in table[1:] if len(row) > place}
