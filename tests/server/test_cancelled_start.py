"""A start that is cancelled ends, at whatever step: no shield before the handshake."""

import ast
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.abc

from locshare.config import Settings
from locshare.server.tree import Application

SOURCE = Path(__file__).resolve().parents[2] / "src" / "locshare"
STEPS = 24
"""More task steps than any of these starts has."""

CHILDREN: dict[str, Callable[[Application], Callable[..., Awaitable[object]]]] = {
    "connections": lambda parts: parts.pool.serve,
    "listener": lambda parts: parts.listener.serve,
    "api": lambda parts: parts.api.serve,
    "flush": lambda parts: parts.flush_controller.run,
    "reaper": lambda parts: parts.manager.reaper.run,
    "reader": lambda parts: parts.pool.reader.serve,
    "heartbeat": lambda parts: parts.pool.heartbeat,
}


class CancelAtStep(trio.abc.Instrument):
    """Cancels ``scope`` before the ``step``-th task step from now."""

    def __init__(self, scope: trio.CancelScope, step: int) -> None:
        self._scope = scope
        self._left = step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if self._left == 0:
            self._scope.cancel()


@pytest.fixture
def application(tmp_path: Path) -> Application:
    return Application(
        Settings(
            http_bind="127.0.0.1:0",
            ws_bind="127.0.0.1:0",
            jwt_secret="k" * 32,
            data_dir=tmp_path,
            database_url="postgresql://nobody@127.0.0.1:1/none",
        )
    )


@pytest.mark.parametrize("child", CHILDREN)
async def test_a_child_whose_start_is_cancelled_at_any_step_ends(
    child: str, application: Application
) -> None:
    run = CHILDREN[child](application)
    cancelled = []
    for step in range(1, STEPS + 1):
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                instrument = CancelAtStep(scope, step)
                trio.lowlevel.add_instrument(instrument)
                try:
                    await nursery.start(run)
                finally:
                    trio.lowlevel.remove_instrument(instrument)
            cancelled.append(scope.cancel_called)
            nursery.cancel_scope.cancel()
    assert (cancelled[0], cancelled[-1]) == (True, False), "each of its steps was tried"


def shields_before_the_handshake(source: str) -> list[int]:
    """The lines at which ``task_status.started`` is called inside of a shield."""
    found: list[int] = []
    if "task_status.started" not in source:
        return found  # most files: to parse them takes much longer

    def look(node: ast.AST, shielded: bool) -> None:
        if isinstance(node, ast.With):
            shielded = shielded or "shield=True" in "".join(ast.unparse(i) for i in node.items)
        elif (
            shielded
            and isinstance(node, ast.Call)
            and ast.unparse(node.func) == "task_status.started"
        ):
            found.append(node.lineno)
        for inner in ast.iter_child_nodes(node):
            look(inner, shielded)

    look(ast.parse(source), shielded=False)
    return found


def test_the_check_below_finds_a_shield_before_the_handshake() -> None:
    wrong = """
async def hold(*, task_status):
    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as nursery:
            task_status.started(nursery)
"""
    assert shields_before_the_handshake(wrong) == [5]


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.stem)
def test_no_handshake_is_inside_of_a_shield(path: Path) -> None:
    assert shields_before_the_handshake(path.read_text(encoding="utf-8")) == []
