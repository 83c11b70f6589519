"""Hooks of mkdocs (mkdocs.yml): what the site needs that Markdown on its own does not give.

- ``x/`` in the navigation stands for the pages in ``x/``, in the order in which its ``index.md``
  links them.
- A link that leaves ``docs/`` (to a source file, a test, the changelog) leads to a page made of
  that file, under ``source/``. So the site needs no repository host, and every link is checked.
"""

import os
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = ROOT / "docs"
_SOURCE: Final = "source"
_FENCE: Final = re.compile(r"^( *)(```+|~~~+).*?^\1\2", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
_LANGUAGES: Final = {".py": "python", ".js": "javascript", ".mjs": "javascript", ".sql": "sql",
                     ".toml": "toml", ".sh": "sh", ".html": "html", ".yml": "yaml"}  # fmt: skip


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of a folder where the navigation names the folder."""
    config.nav = [
        {title: _pages(target) if isinstance(target, str) and target.endswith("/") else target}
        for entry in config.nav or []
        for title, target in entry.items()
    ]
    return config


def _pages(folder: str) -> list[str]:
    index = DOCS / folder / "index.md"
    overview = index.read_text(encoding="utf-8")
    pages = sorted(index.parent.glob("*.md"), key=lambda page: overview.find(f"]({page.name})"))
    return [page.relative_to(DOCS).as_posix() for page in pages]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file outside of ``docs/`` that a page links to, and those it links to."""
    waiting = [DOCS / file.src_uri for file in files.documentation_pages()]
    seen: set[Path] = set()
    while waiting:
        page = waiting.pop()
        text = page.read_text(encoding="utf-8") if page.suffix == ".md" else ""
        for target in {_resolve(page, link) for link in _LINK.findall(_FENCE.sub("", text))}:
            if target in seen or target.is_relative_to(DOCS) or not target.exists():
                continue  # one that does not exist is left as it is: the strict build reports it
            seen.add(target)
            files.append(File.generated(config, _uri(target), content=_content(target)))
            waiting.append(target)
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Lead links to the pages that :func:`on_files` made."""
    uri = page.file.src_uri
    at = _original(uri)
    if at.suffix != ".md":
        return markdown

    def lead(found: re.Match[str]) -> str:
        target = _resolve(at, found[1])
        if not target.exists() or (at.is_relative_to(DOCS) and target.is_relative_to(DOCS)):
            return found[1]
        return os.path.relpath(_uri(target), os.path.dirname(uri))  # noqa: PTH120 - a URI

    parts = []
    end = 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(lead, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(lead, markdown[end:])])


def _resolve(page: Path, link: str) -> Path:
    return Path(os.path.normpath(page.parent / link))


def _uri(path: Path) -> str:
    """Where the site has ``path``."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    suffix = "" if path.suffix == ".md" else ".md"
    return f"{_SOURCE}/{path.relative_to(ROOT).as_posix()}{suffix}"


def _original(uri: str) -> Path:
    """The file that the page at ``uri`` is made of."""
    folder, _, path = uri.partition("/")
    if folder != _SOURCE:
        return DOCS / uri
    return ROOT / path if (ROOT / path).exists() else ROOT / path.removesuffix(".md")


def _content(path: Path) -> str:
    name = path.relative_to(ROOT).as_posix()
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    head = f"---\nsearch:\n  exclude: true\n---\n# `{name}`\n\n"
    if path.is_dir():
        return head + "\n".join(f"- `{each.name}`" for each in sorted(path.iterdir())
                                if not each.name.startswith("__pycache__"))  # fmt: skip
    language = _LANGUAGES.get(path.suffix, "")
    return f"{head}~~~~~~~~{language}\n{path.read_text(encoding='utf-8')}\n~~~~~~~~\n"
