"""The address of a participant's WebSocket, from the answer to the join and the target's options.
Pure.
"""

from urllib.parse import urlsplit, urlunsplit

from bench.errors import NotServing
from bench.results import Dialect


def endpoint(override: str | None, answered: str, dialect: Dialect) -> str:
    """The address, without token. ``override`` is :attr:`bench.targets.target.Target.ws_url`.
    Raises NotServing when there is none, or it is no WebSocket address.
    """
    if override is None:
        found = answered
    elif dialect == "phoenix" or not answered:
        found = override
    else:
        ours, theirs = urlsplit(override), urlsplit(answered)
        found = urlunsplit(theirs._replace(scheme=ours.scheme, netloc=ours.netloc))
    parts = urlsplit(found)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise NotServing(
            f"the join answered websocket_url {answered!r} and the target's ws is {override!r}: "
            "one of them must be an address that begins with ws:// or wss://"
        )
    return found
