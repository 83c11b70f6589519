"""Which server the app talks to, and in which dialect. Pure, but for reading a file.

A build has its environments in ``environments.toml`` beside ``main.py``; the hidden screen chooses
one of them or an address, and ``LOCSHARE_PHONE_BACKEND`` does so for development.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from msgspec import Struct

Dialect = Literal["locshare", "phoenix"]
TOPIC: Final = "location:{session_id}"
DIALECTS: Final[tuple[Dialect, ...]] = get_args(Dialect)
VARIABLE: Final = "LOCSHARE_PHONE_BACKEND"
MOST_ENVIRONMENTS: Final = 20


class Backend(Struct, frozen=True, omit_defaults=True):
    """``locshare`` is this project's server. ``phoenix`` is any server of the same REST contract
    that speaks Phoenix Channels: ``socket`` is the address of its socket where the answer to a join
    has none, and ``topic`` the name of a session's channel.
    """

    url: str
    dialect: Dialect = "locshare"
    socket: str = ""
    topic: str = TOPIC

    @property
    def host(self) -> str:
        """What people know the server by."""
        return urlsplit(self.url).netloc


class Environments(Struct, frozen=True):
    """``default`` is a key of ``named``."""

    default: str
    named: Mapping[str, Backend]

    def choose(self, wish: str) -> Backend:
        """The environment with this name, or the server with this address. Raises ValueError."""
        return self.named[wish] if wish in self.named else parse_backend(wish)


def parse_backend(
    url: str, dialect: str = "locshare", socket: str = "", topic: str = ""
) -> Backend:
    """Raises ValueError with a sentence that names the wrong part."""
    if dialect not in DIALECTS:
        raise ValueError(f"dialect: {dialect!r} is not spoken; allowed are {', '.join(DIALECTS)}")
    topic = topic.strip() or TOPIC
    if "{session_id}" not in topic:
        raise ValueError("topic: it has {session_id} where the session's id stands")
    return Backend(
        _address("url", url, ("http", "https")),
        "phoenix" if dialect == "phoenix" else "locshare",
        _address("socket", socket, ("ws", "wss")) if socket.strip() else "",
        topic,
    )


def read_environments(path: Path) -> Environments:
    """Raises ValueError with a sentence that says what is wrong with the file."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        tables = {str(name): table for name, table in found["environment"].items()}
        named = {
            name: parse_backend(**{str(key): str(value) for key, value in table.items()})
            for name, table in list(tables.items())[:MOST_ENVIRONMENTS]
        }
        default = str(found["default"])
    except (OSError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{path.name}: {error}") from None
    if default not in named:
        raise ValueError(f"{path.name}: default = {default!r} is none of {', '.join(named)}")
    return Environments(default, named)


def _address(what: str, text: str, schemes: tuple[str, ...]) -> str:
    text = text.strip().rstrip("/")
    if what == "url" and text and "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or re.search(r"\s", text):
        raise ValueError(f"{what}: {text!r} is not like {schemes[-1]}://host[:port]")
    return text
