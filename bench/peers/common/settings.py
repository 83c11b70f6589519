"""Settings of a comparator: flags, passed to the workers through the environment."""

import argparse
import os
import secrets

import msgspec
from msgspec import Struct

SECRET = "PEER_JWT_SECRET"
"""Environment variable: the key that signs tokens. Random when it is not set."""
_HANDED_ON = "PEER_SETTINGS"


class Settings(Struct, frozen=True):
    """``redis`` is a URL, empty where there is none. ``ws_port`` is 0 where the WebSocket is served
    beside REST. Positions of one session are joined for ``flush_window_ms``, where that is not 0
    and the server can do it.
    """

    host: str
    port: int
    workers: int
    max_participants: int
    secret: str
    redis: str = ""
    ws_port: int = 0
    flush_window_ms: int = 0

    @property
    def http_url(self) -> str:
        """How clients reach it."""
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """The same for the WebSocket."""
        return f"ws://{self.host}:{self.ws_port or self.port}/ws"

    def hand_on(self) -> None:
        """Pass the settings to the workers that this process will start."""
        os.environ[_HANDED_ON] = msgspec.json.encode(self).decode()

    @classmethod
    def handed_on(cls) -> "Settings":
        return msgspec.json.decode(os.environ[_HANDED_ON], type=cls)


def parser(prog: str, description: str) -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(prog=prog, description=description)
    flags.add_argument(
        "--http", type=address, default=("127.0.0.1", 8090), metavar="HOST:PORT",
        help="REST, and the WebSocket at /ws (default 127.0.0.1:8090)",
    )  # fmt: skip
    flags.add_argument(
        "--max-participants", type=count, default=50, metavar="N",
        help="how many people one session holds (default 50)",
    )  # fmt: skip
    return flags


def settings_of(arguments: argparse.Namespace) -> Settings:
    """From the arguments, with the secret."""
    host, port = arguments.http
    return Settings(
        host=host,
        port=port,
        workers=getattr(arguments, "workers", 1),
        max_participants=arguments.max_participants,
        secret=os.environ.get(SECRET) or secrets.token_hex(32),
        redis=getattr(arguments, "redis", ""),
        ws_port=getattr(arguments, "ws_port", 0),
        flush_window_ms=getattr(arguments, "flush_window_ms", 0),
    )


def address(text: str) -> tuple[str, int]:
    """``HOST:PORT``"""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:8090")
    return host, int(port)


def count(text: str) -> int:
    """A number from 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)
