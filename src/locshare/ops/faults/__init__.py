"""Breaks a running server on purpose, so that what it promises to survive can be seen.

Only ``locshare serve --faults`` has this, and a production server refuses it. The faults are asked
for over the control socket, by the user who runs the server; scripts use :func:`open_faults`::

    async with open_faults(Path(".data/control.sock")) as faults:
        await faults.crash(session_actor(session_id), nth=3)

How it gets in: the parts of a server are given a few things from outside (:class:`Seams`: the wall
clock, the database's address, the way to the sessions), and here others are given that obey. What
happens inside actors and supervisors uses their own seams (:mod:`locshare.actors.debug`,
``locshare.actors.inject``, ``locshare.supervisor.inject``). Nothing of it is in the way of a server
that was started without.
"""

from locshare.ops.faults.client import FaultClient, open_faults, session_actor, session_supervisor
from locshare.ops.faults.handlers import InjectedFault
from locshare.ops.faults.injector import Injector
from locshare.ops.faults.seams import Seams
from locshare.ops.faults.surroundings import Faults

__all__ = [
    "FaultClient",
    "Faults",
    "InjectedFault",
    "Injector",
    "Seams",
    "open_faults",
    "session_actor",
    "session_supervisor",
]
