"""``locshare serve`` with another way to receive, and a flush window that does not follow the load.

    python -m bench.solo.transports.serve wsproto

The program has no setting for either, on purpose. So two names are bound anew before it starts:
the class that a connection makes its transport of, and the flush window. A window that followed the
load would hide what a dearer way costs: it widens, and everything else gets cheaper.
"""

import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from unittest.mock import patch

from bench.solo.transports.with_trio_websocket import TrioWebsocketTransport
from bench.solo.transports.with_websockets import WebsocketsTransport
from bench.solo.transports.with_wsproto import WsprotoTransport
from locshare.cli.main import main
from locshare.connection.transport import Transport

WINDOW_S: Final = 0.25
WAYS: Final[Mapping[str, type[Transport]]] = MappingProxyType(
    {
        "locshare": Transport,
        "websockets": WebsocketsTransport,
        "wsproto": WsprotoTransport,
        "trio-websocket": TrioWebsocketTransport,
    }
)
"""By what they are called in the report."""


def serve(way: str) -> int:
    """Serve until told to stop. Returns the exit status. Raises KeyError for an unknown ``way``."""
    with (
        patch("locshare.connection.connection.Transport", WAYS[way]),
        patch("locshare.broadcast.flush_controller.FlushController.window", lambda *_: WINDOW_S),
    ):
        return main(["serve"])


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1]))
