"""Fault injection into a running server, to test what it promises to survive.

Only ``locshare serve --faults`` has it, and a production server refuses that flag. The user who
runs the server injects faults over the control socket; scripts use :func:`open_faults`::

    async with open_faults(Path(".data/control.sock")) as faults:
        await faults.crash(session_actor(session_id), nth=3)

The parts of a server take a few dependencies from outside (:class:`Hooks`: the wall clock, the
database's address, the way to the sessions); with ``--faults`` they get ones that can fail. Faults
inside actors and supervisors use the runtime's own debug interface (``locshare.actors.introspect``,
``locshare.actors.lowlevel``, ``locshare.supervisor.lowlevel``). A server without ``--faults`` pays
nothing for any of it.
"""

from locshare.ops.faults.client import FaultClient, open_faults, session_actor, session_supervisor
from locshare.ops.faults.environment import Faults
from locshare.ops.faults.handlers import InjectedFault
from locshare.ops.faults.hooks import Hooks
from locshare.ops.faults.injector import Injector

__all__ = [
    "FaultClient",
    "Faults",
    "Hooks",
    "InjectedFault",
    "Injector",
    "open_faults",
    "session_actor",
    "session_supervisor",
]
