"""What the documents show: their commands, and the names that they mention."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *(page for page in ROOT.glob("*.md") if page.name != "CHANGELOG.md"),  # history
        ROOT / "bench" / "README.md",
        ROOT / "bench" / "k6" / "README.md",
        *(ROOT / "clients").glob("*/README.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]
)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(
    r"(?:[A-Z_]+=\S+ )*(?:python -m|locshare|make|docker|pip|k6|npm|npx|apt|ulimit|curl) \S"
)


class Command(NamedTuple):
    """A line of shell, without prompt and comment."""

    page: str
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def examples(page: Path) -> list[str]:
    """The Python of a page, without what a tutorial shows of a file."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def commands() -> list[Command]:
    """All, each page's once, in the order in which they stand there."""
    found: dict[Command, None] = {}
    for page in PAGES:
        if page.parent.name == "runbooks":
            continue  # many pages, few commands: tests/monitoring/test_runbooks.py tries each once
        text = page.read_text(encoding="utf-8")
        for language, block in _BLOCK.findall(text):
            if language in ("sh", "bash", "console", "shell"):
                for line in _lines(block, prompt=language == "console"):
                    found[Command(name_of(page), line)] = None
        for code in inline_code(text):
            if _COMMAND.match(code):
                found[Command(name_of(page), code)] = None
    return list(found)


def inline_code(text: str) -> list[str]:
    """What stands between backticks outside of blocks."""
    return _CODE.findall(_BLOCK.sub("", text))


def _lines(block: str, *, prompt: bool) -> Iterator[str]:
    whole = block.replace("\\\n", " ")
    for line in whole.splitlines():
        if prompt and not line.startswith("$ "):
            continue  # what it prints
        text = re.sub(r"\s+#\s.*$", "", line.removeprefix("$ ")).strip()
        if text and not text.startswith("#"):
            yield re.sub(r"\s+", " ", text)
