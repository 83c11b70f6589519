"""Pictures made by hand."""

from typing import Any

from locshare.ops.inspection.views import ActorView, ProcessInfo, TreeSnapshot


def actor(path: str, **fields: Any) -> ActorView:
    given: dict[str, Any] = {
        "kind": "actor", "state": "running", "status": "running", "incarnation": 1, "handled": 0,
        "mailbox": 0, "capacity": 1024, "high_water": 0, "dropped": 0, "timers": 0, "bytes": 760,
    }  # fmt: skip
    return ActorView(path, path.rpartition("/")[2], **(given | fields))


def session(name: str, serial: int, **fields: Any) -> ActorView:
    below = actor(
        f"sessions/{name}/session",
        incarnation=serial,
        gauges={"online": 2, "participants": 3},
        **fields,
    )
    return actor(
        f"sessions/{name}", kind="supervisor", incarnation=serial + 1000, children=(below,)
    )


def snapshot(at: float, *sessions: ActorView, hidden: int = 0, **process_info: Any) -> TreeSnapshot:
    folder = actor(
        "sessions", kind="supervisor", incarnation=2, capacity=None, children=sessions,
        hidden=hidden,
    )  # fmt: skip
    task = ActorView("listener", "listener", "task", "running", "running", 3)
    root = ActorView(".", "root", "supervisor", "running", "running", 4, children=(folder, task))
    given: dict[str, Any] = {"version": "1.2.3", "pid": 42, "uptime": 3700.0, "rss": 50 << 20}
    return TreeSnapshot(at, ProcessInfo(**(given | process_info)), root)
