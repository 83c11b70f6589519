"""What a request to upgrade asks for by its path, query and subprotocols: the dialect, and what its
subscription begins with. Pure.
"""

from collections.abc import Mapping
from typing import Final

from locshare.connection import phoenix
from locshare.connection.admission import carries_token
from locshare.connection.dialect import PLAIN_SOCKET, Dialects, SocketDialect
from locshare.connection.refusal import Refusal
from locshare.connection.upgrade import Upgrade
from locshare.model.pace import parse_interval
from locshare.model.participant import parse_state
from locshare.session.commands import AttachOptions

_PHOENIX_SUBPROTOCOLS: Final = frozenset({phoenix.SUBPROTOCOL})


def choose_subprotocol(upgrade: Upgrade, dialects: Dialects) -> str | None:
    """The subprotocol to answer with: the first of those offered that is known. None when there is
    none.

    The one that carries the token is chosen only where nothing else is offered. A browser fails a
    connection whose answer names none of the offered subprotocols (WHATWG WebSockets, "establish a
    WebSocket connection"), and the token goes back to nobody but its sender.
    """
    offered = upgrade.subprotocols
    known = _known(upgrade, dialects)
    if known is None and offered and all(map(carries_token, offered)):
        return offered[0]
    return known


def choose_dialect(upgrade: Upgrade, dialects: Dialects) -> SocketDialect | Refusal:
    """The dialect of the new socket: Phoenix by the path, else by the subprotocol, else plain."""
    if _is_phoenix(upgrade):
        return phoenix.make_phoenix_dialect(upgrade.query.get("vsn")) or Refusal.UNKNOWN_VERSION
    name = _known(upgrade, dialects)
    return PLAIN_SOCKET if name is None else dialects[name]()


def _known(upgrade: Upgrade, dialects: Dialects) -> str | None:
    known = _PHOENIX_SUBPROTOCOLS if _is_phoenix(upgrade) else dialects
    return next((name for name in upgrade.subprotocols if name in known), None)


def read_options(query: Mapping[str, str]) -> AttachOptions:
    """What the query of the upgrade says about its subscription."""
    return AttachOptions(
        query.get("resume"), parse_interval(query.get("pace")), parse_state(query.get("presence"))
    )


def _is_phoenix(upgrade: Upgrade) -> bool:
    return upgrade.path.endswith(phoenix.PATH)
