"""``locshare health``: does the server with these settings answer, and is it ready?

For health checks of containers and service managers, where there is no curl. It runs every few
seconds, so it imports as little as it can.
"""

import socket
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Final

from locshare.cli import EXIT_FAILURE, EXIT_OK, complain, say
from locshare.cli.flags import add_settings_flags, load_settings
from locshare.config import Settings, parse_bind

DESCRIPTION = """\
Ask the running server whether it is ready (or with --live: whether its loop turns), at the address
in the settings, and say so. Status 0 if it is, 1 if not."""
EXAMPLES = """\
  locshare health
  locshare health --live --patience 1
"""

_MOST_BYTES: Final = 64 * 1024
"""Of the answer; health has a few hundred."""
_WILDCARDS: Final = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def add_arguments(parser: ArgumentParser) -> None:
    """``--live``, ``--patience``, and the flags of ``serve``."""
    parser.add_argument(
        "--live", action="store_true", help="ask whether its loop turns, whatever else is broken"
    )
    parser.add_argument(
        "--patience", type=_seconds, default=3.0, metavar="SECONDS",
        help="how long to wait for the answer, 0.1 to 60 (default 3)",
    )  # fmt: skip
    add_settings_flags(parser)


def run(arguments: Namespace) -> int:
    """Print the answer. Raises SettingsError."""
    settings = load_settings(arguments).settings
    host, port = address_of(settings)
    path = "/health/live" if arguments.live else "/health/ready"
    where = f"{f'[{host}]' if ':' in host else host}:{port}"
    try:
        status, body = _get(host, port, path, arguments.patience)
    except OSError as error:
        reason = "it does not answer in time" if isinstance(error, TimeoutError) else error.strerror
        complain(
            f"no server answers at {where}: {reason or error}. Start it, or give this command the"
            " settings that it has (LOCSHARE_BIND, LOCSHARE_HTTP_BIND or LOCSHARE_INTERNAL_BIND)"
        )
        return EXIT_FAILURE
    if status != 200:
        complain(f"the server at {where} is not well ({status}): {body}")
        return EXIT_FAILURE
    say(body)
    return EXIT_OK


def address_of(settings: Settings) -> tuple[str, int]:
    """Where the server with these settings answers for its health: the internal port, if any."""
    bind = settings.internal_bind or settings.bind or settings.http_bind
    host, port = parse_bind(bind)
    return _WILDCARDS.get(host) or str(host), port


def _get(host: str, port: int, path: str, patience_s: float) -> tuple[int, str]:
    """Status and body of one answer, within ``patience_s`` in all. Raises OSError."""
    deadline = time.monotonic() + patience_s
    request = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, port), patience_s) as sock:
        sock.sendall(request.encode())
        answer = b""
        while len(answer) < _MOST_BYTES and (part := sock.recv(_MOST_BYTES)):
            answer += part
            if (left := deadline - time.monotonic()) <= 0:
                raise TimeoutError
            sock.settimeout(left)
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise OSError("what answers there does not speak HTTP")
    return int(words[1]), body.decode(errors="replace").strip()


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.1 <= value <= 60:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds from 0.1 to 60")
    return value
