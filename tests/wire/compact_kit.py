"""The decoders of docs/reference/protocol.md, as a reader of that page has them."""

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/protocol.md"


def decoder(language: str) -> str:
    """The source of the decoder of compact messages in ``language``."""
    section = PAGE.read_text(encoding="utf-8").partition("\n## Compact\n")[2]
    (source,) = re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return str(source)


class Reader:
    """A client that decodes frames' payloads with the Python of the page."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {}
        exec(decoder("python"), self._names)  # noqa: S102 - of our own page

    def read(self, payload: bytes) -> tuple[int, Any]:
        kind, data = self._names["decode"](payload)
        return kind, data
