"""The examples in the documentation work, and its links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents.pages import PAGES, ROOT, examples, name_of

RECORDS = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")


def anchors(page: Path) -> set[str]:
    """Those of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    for path, anchor in _LINK.findall(page.read_text()):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {path}"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {path}#{anchor}"


def test_each_page_is_linked_from_another() -> None:
    linked = {
        (page.parent / path).resolve()
        for page in PAGES
        for path, _ in _LINK.findall(page.read_text())
        if path and (page.parent / path).resolve() != page
    }
    first = {ROOT / "README.md", ROOT / "docs" / "index.md"}
    assert {name_of(page) for page in {*PAGES} - first if page not in linked} == set()


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_decision_has_context_decision_consequences_and_figures(record: Path) -> None:
    text = record.read_text()
    parts = ["Context", "Decision", "Consequences", "Measured"]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == parts
    assert 30 <= len(text.splitlines()) <= 60
    index = (record.parent / "index.md").read_text()
    assert re.search(rf"^\| \d+ \| \[.+\]\({record.name}\) \|", index, re.MULTILINE)


def test_each_term_of_the_glossary_is_defined_where_it_says() -> None:
    page = ROOT / "docs" / "glossary.md"
    rows = re.findall(r"^\| (.+?) \|.*\[`(\w+)`\]\((.+?)\) \|$", page.read_text(), re.MULTILINE)
    assert len(rows) == page.read_text().count("\n| ") - 1
    assert [term for term, _, _ in rows] == sorted(term for term, _, _ in rows)
    for term, name, path in rows:
        source = (page.parent / path).read_text()
        assert re.search(rf"^(class|def|async def) {name}\b", source, re.MULTILINE), term


RUNTIME_PAGES = sorted((ROOT / "docs" / "runtime").glob("*.md"))


def test_the_tests_that_the_runtime_pages_name_exist() -> None:
    named = {
        name for page in RUNTIME_PAGES for name in re.findall(r"`(test_\w+)`", page.read_text())
    }
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert named
    assert {name for name in named if f"def {name}(" not in sources} == set()


def test_each_page_of_the_runtime_but_one_has_an_example() -> None:
    without = [page.stem for page in RUNTIME_PAGES if len(examples(page)) != 1]
    assert without == ["choices"]


@pytest.mark.parametrize("page", RUNTIME_PAGES, ids=name_of)
def test_the_examples_of_the_runtime_pages_run(page: Path, tmp_path: Path) -> None:
    """That their types are right is checked with those of tests/actors/test_typing.py."""
    for example in examples(page):
        file = tmp_path / "example.py"
        file.write_text(example)
        done = subprocess.run(
            [sys.executable, str(file)],
            capture_output=True,
            text=True,
            check=False,
            env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
        )
        assert done.returncode == 0, done.stdout + done.stderr
