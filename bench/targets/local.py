"""The servers that can be started here, by name."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bench.figures import cores
from bench.results import TargetDescription
from bench.serving import data_directory
from bench.targets.counting import facts
from bench.targets.own import LocshareTarget
from bench.targets.peers import PeerTarget
from bench.targets.started import StartedTarget

STARTABLE: Mapping[str, str] = {
    "locshare": "locshare",
    "redis": "Starlette, uvicorn, Redis pub/sub",
    "inprocess": "Starlette, uvicorn, in process",
}
"""Their titles."""

MAX_PARTICIPANTS = 1000


@contextmanager
def started(
    name: str,
    *,
    pin: bool = True,
    environment: Mapping[str, str] | None = None,
    max_participants: int = MAX_PARTICIPANTS,
    faults: bool = True,
) -> Iterator[StartedTarget]:
    """The server ``name`` of STARTABLE, ready, on free ports and with data of its own; gone, with
    all that belongs to it, when the block ends.

    With ``pin``, on a machine of two cores or more, it has the first core for itself (its Redis or
    PostgreSQL too), and this thread and those that it starts have the others. ``environment`` is
    for the server's program. ``faults`` lets locshare be started so that a session can be crashed
    and its database be cut off; its database is then reached through a relay.

    Raises ValueError for another name, and NotServing.
    """
    if name not in STARTABLE:
        raise ValueError(f"no server {name!r} can be started; allowed are {', '.join(STARTABLE)}")
    with data_directory() as folder, _apart(pin) as place:
        description = TargetDescription(
            name=name, title=STARTABLE[name], dialect="plain", facts=facts(name)
        )
        target: StartedTarget
        if name == "locshare":
            target = LocshareTarget(
                description,
                folder,
                place=place,
                environment=environment or {},
                max_participants=max_participants,
                faults=faults,
            )
        else:
            target = PeerTarget(
                description,
                "bench.peers.external" if name == "redis" else "bench.peers.inprocess",
                folder,
                place=place,
                environment=environment or {},
                max_participants=max_participants,
                redis=name == "redis",
            )
        try:
            target.start()
            yield target
        finally:
            target.stop()


@contextmanager
def _apart(pin: bool) -> Iterator[list[int]]:
    """The cores for the server. In the block this thread has the others."""
    allowed = cores()
    if not pin or len(allowed) < 2 or not hasattr(os, "sched_setaffinity"):
        yield allowed
        return
    os.sched_setaffinity(0, allowed[1:])
    try:
        yield allowed[:1]
    finally:
        os.sched_setaffinity(0, allowed)
