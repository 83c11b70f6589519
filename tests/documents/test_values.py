"""Data and settings that the documents show are right: they parse, and the program accepts them."""

import json
import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from locshare.config import SettingsError, load
from tests.documents.pages import PAGES, ROOT, commands, inline_code, name_of

_BLOCK = re.compile(r"^```(json|yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SETTING = re.compile(r"\b(LOCSHARE_[A-Z_]+)=([^\s\"'`]+)")
_NOT_HERE = ("LOCSHARE_CONFIG", "LOCSHARE_PURE_PYTHON", "LOCSHARE_MAP_FILE")
"""No settings, and one that names a file of the reader's."""
_PLACEHOLDERS = ("…", "$")
PARTNERS = {
    "LOCSHARE_PUBLIC_URL": {"LOCSHARE_BIND": "127.0.0.1:8080"},
    "LOCSHARE_TILE_ATTRIBUTION": {"LOCSHARE_TILE_URL": "https://example.org/{z}/{x}/{y}.png"},
}
"""Settings that need another one beside them, which the document shows too."""


class AnyTag(yaml.SafeLoader):  # type: ignore[misc]
    """Home Assistant's files have tags of their own (``!secret``)."""


AnyTag.add_multi_constructor("!", lambda _loader, tag, node: f"{tag} {node.value}")


def shown_settings() -> set[tuple[str, str]]:
    """Each variable with each value that a page or an example of a proxy gives it."""
    texts = [command.text for command in commands()]
    for page in PAGES:
        texts += inline_code(page.read_text(encoding="utf-8"))
    texts += [file.read_text(encoding="utf-8") for file in (ROOT / "deploy/proxies").iterdir()]
    return {
        (name, value)
        for text in texts
        for name, value in _SETTING.findall(text)
        if name not in _NOT_HERE and not any(each in value for each in _PLACEHOLDERS)
    }


@pytest.mark.parametrize(("name", "value"), sorted(shown_settings()))
def test_a_setting_that_is_shown_with_a_value_is_accepted(name: str, value: str) -> None:
    try:
        load({"HOME": "/root", **PARTNERS.get(name, {}), name: value})
    except SettingsError as error:
        pytest.fail("\n".join(error.faults))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_data_that_is_shown_can_be_read(page: Path) -> None:
    for language, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "yaml":
            assert list(yaml.load_all(block, AnyTag))
            continue
        try:
            json.loads(block)
        except ValueError:
            for line in block.splitlines():  # one message a line
                if line and not any(each in line for each in _PLACEHOLDERS):
                    json.loads(line)
