"""Every name that the documents mention is one that the program knows."""

import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from locshare.config import all_settings
from locshare.http.problems import ProblemCode
from locshare.model.reasons import CloseReason
from tests.documents.pages import PAGES, ROOT, inline_code, name_of

SOURCES: Final = ("src", "bench", "clients", "tests", "tools")
OTHERS: Final = {
    "LOCSHARE_CONFIG",
    "LOCSHARE_PHONE_BACKEND",  # of the phone app
    "LOCSHARE_PURE_PYTHON",
    "LOCSHARE_CACHE_DIR",
    "LOCSHARE_",  # what all variables begin with
}
METRICS: Final = ROOT / "docs" / "reference" / "metrics.md"
NOT_OURS: Final = {"pg_dump"}
"""Of PostgreSQL."""
ITS_SENTENCES: Final = {"invalid page"}
"""The same."""
pages = pytest.mark.parametrize("page", PAGES, ids=name_of)


@cache
def source() -> str:
    """All that is written here but the documents and what tests them."""
    texts = [
        path.read_text(encoding="utf-8")
        for folder in SOURCES
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".js", ".html", ".sql", ".sh", ".mjs", ".c")
        and path != Path(__file__)
    ]
    texts += [
        (ROOT / name).read_text(encoding="utf-8")
        for name in ("Makefile", "Dockerfile", "deploy/compose/compose.yaml")
    ]
    return "\n".join(texts)


@cache
def words() -> frozenset[str]:
    return frozenset(re.findall(r"\w+", source()))


@cache
def metrics() -> frozenset[str]:
    """All of them (tests/monitoring/test_metrics.py)."""
    return frozenset(re.findall(r"^\| `(\w+)`", METRICS.read_text(encoding="utf-8"), re.MULTILINE))


@cache
def modules() -> frozenset[str]:
    return frozenset(path.stem for each in SOURCES for path in (ROOT / each).rglob("*.py"))


def codes(page: Path) -> list[str]:
    return inline_code(page.read_text(encoding="utf-8"))


@pages
def test_settings_are_those_that_there_are(page: Path) -> None:
    known = {setting.variable for setting in all_settings()} | OTHERS
    named = set(re.findall(r"\bLOCSHARE_[A-Z_]*", page.read_text(encoding="utf-8")))
    assert named - known == set()


@pages
def test_metrics_are_those_that_there_are(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page.parent.name == "runbooks":  # with patterns; test_runbooks.py runs their commands
        text = re.sub(r"^```sh\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"\blocshare_[a-z_]+\b", text))
    found = {re.sub(r"_(bucket|count|sum)$", "", each) for each in named}
    assert found - metrics() - {"locshare_bench_"} == set()


@pages
def test_error_codes_are_those_that_there_are(page: Path) -> None:
    named = {code for code in codes(page) if re.fullmatch(r"(?!LOCSHARE_)[A-Z]+(_[A-Z]+)+", code)}
    assert {each for each in named if each not in words()} == set()


@pages
def test_names_in_code_are_those_of_the_program(page: Path) -> None:
    """Log events, fields, functions, modules: whatever is written with an underscore."""
    named = {
        name
        for code in codes(page)
        if re.fullmatch(r"[\w.]+(\(\))?", code)
        for name in code.removesuffix("()").split(".")
        if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", name)
    }
    ours = named - modules() - metrics() - NOT_OURS
    assert {each for each in ours if each not in words()} == set()


@pages
def test_flags_are_those_that_there_are(page: Path) -> None:
    named = {
        flag
        for code in codes(page)
        if not re.match(r"docker|PYTHON|pip|apt|make|--[a-z-]+ .*=", code)
        for flag in re.findall(r"(?<!\S)--[a-z][a-z-]+", code)
    }
    known = {setting.flag for setting in all_settings()}
    assert {each for each in named - known if f'"{each}"' not in source()} == set()


@pages
def test_paths_in_code_are_there(page: Path) -> None:
    """Those that end as files of this project do."""
    named = {
        code
        for code in codes(page)
        if re.fullmatch(r"[\w./-]+/[\w.-]+\.(py|js|md|toml|txt|sh|sql|html|svg|png)", code)
        and not code.startswith("/")
    }
    folders = (page.parent, ROOT, ROOT / "src" / "locshare", ROOT / "bench", ROOT / "tests")
    missing = {each for each in named if not any((folder / each).exists() for folder in folders)}
    assert missing == set()


@pytest.mark.parametrize("name", ["operate", "recover"])
def test_sentences_of_the_program_are_quoted_as_it_says_them(name: str) -> None:
    """In the tables of what to do. `…` stands for what differs."""
    page = (ROOT / "docs" / "guides" / f"{name}.md").read_text(encoding="utf-8")
    quoted = {*re.findall(r"^\| `([^`]* [^`]*)`", page, re.MULTILINE)} - ITS_SENTENCES
    assert len(quoted) > 1
    parts = {part.strip() for sentence in quoted for part in sentence.split("…")}
    assert {part for part in parts if part not in source()} == set()


def test_every_problem_of_the_rest_api_is_in_its_page() -> None:
    page = (ROOT / "docs" / "reference" / "rest.md").read_text(encoding="utf-8")
    assert {code.name for code in ProblemCode if f"`{code.name}`" not in page} == set()


def test_every_way_in_which_a_connection_ends_is_in_the_protocols_page() -> None:
    page = (ROOT / "docs" / "reference" / "protocol.md").read_text(encoding="utf-8")
    ours = {reason for reason in CloseReason if reason.label not in ("peer_closed", "peer_gone")}
    assert {reason.code for reason in ours if str(reason.code) not in page} == set()
