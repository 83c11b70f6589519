"""The control socket: how the user who runs a server inspects and controls it.

A Unix socket that only the user who runs the server can open (mode 600). A request is one JSON
object on one line; the answers are lines too. The operations are defined elsewhere, as
:class:`Operation` objects (:mod:`locshare.ops.inspection`, :mod:`locshare.ops.faults`).

::

    → {"do": "suspend", "path": "sessions/6f1c9d0e/session"}
    ← {"done": null}
    → {"do": "watch", "interval": 1.0}
    ← {"item": {…}}
    ← {"item": {…}}                        and so on, until the client hangs up
    → {"do": "susspend"}
    ← {"error": {"code": "bad_request", "message": "Invalid value 'susspend' - at `$.do`"}}
"""

from locshare.ops.control.client import ControlClient, open_control
from locshare.ops.control.protocol import ControlError, Operation, Send
from locshare.ops.control.server import ControlServer

__all__ = ["ControlClient", "ControlError", "ControlServer", "Operation", "Send", "open_control"]
