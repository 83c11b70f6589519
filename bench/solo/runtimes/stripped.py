"""The actor's loop without what serves its trace and its statistics, to measure what those cost
while they are off.

The loop is the real one: its source is read, the statements that mention :data:`SERVANTS` are taken
out, and the rest is compiled in its own module. So this file does not age with it; a loop that no
longer mentions one of them is an error here, never a silent comparison of a thing with itself.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import trio

from bench.solo.runtimes.actors import Server
from locshare.actors import ActorRef
from locshare.actors import loop as loop_module
from locshare.actors.loop import ActorIncarnation
from locshare.actors.nursery import wait_until_started

#: Names and attributes that only trace and statistics use, with the locals that lead to them.
SERVANTS = frozenset(
    {"began", "handled", "held", "high_water", "last", "perf_counter", "recent", "skipped", "debug"}
)


class UnknownLoop(Exception):
    """The source of the loop is not what this module was written for."""


class Strip(ast.NodeTransformer):
    """Takes out every statement that itself mentions one of ``names``. A compound statement goes
    whole when its own condition does; else only what is in it.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        self.removed: list[str] = []
        self.found: set[str] = set()

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.stmt) and _mentioned(_head(node)) & self.names:
            self.removed.append(ast.unparse(node))
            self.found |= _mentioned([node]) & self.names
            return None
        return self.generic_visit(node)


def _head(node: ast.stmt) -> list[ast.AST]:
    """A statement without the statements in it."""
    return [each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.stmt)]


def _mentioned(nodes: Sequence[ast.AST]) -> set[str]:
    inside = [each for node in nodes for each in ast.walk(node)]
    names = {each.id for each in inside if isinstance(each, ast.Name)}
    return names | {each.attr for each in inside if isinstance(each, ast.Attribute)}


def loop_source(without: frozenset[str] = SERVANTS) -> tuple[str, list[str]]:
    """The source of the loop without the statements that mention these names, and those
    statements. Raises UnknownLoop if one of the names is nowhere, or too much went with them.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(ActorIncarnation._loop)))
    strip = Strip(without)
    source = ast.unparse(ast.fix_missing_locations(strip.visit(tree)))
    try:
        ast.parse(source)
    except SyntaxError as error:  # a block is empty now
        raise UnknownLoop("the loop does not stand without them") from error
    if missing := without - strip.found:
        raise UnknownLoop(f"the loop does not mention {', '.join(sorted(missing))}")
    return source, strip.removed


def variant(without: frozenset[str] = SERVANTS) -> type[ActorIncarnation]:
    """An incarnation with such a loop. With an empty set its loop is the real one, compiled the
    same way: the fair partner of a comparison.
    """
    source, _ = loop_source(without)
    made: dict[str, Callable[..., Any]] = {}
    exec(compile(source, "<stripped loop>", "exec"), vars(loop_module), made)  # noqa: S102
    return type("Variant", (ActorIncarnation,), {"__slots__": (), "_loop": made["_loop"]})


async def start_as(kind: type[ActorIncarnation], nursery: trio.Nursery) -> tuple[ActorRef, Server]:
    """Start an actor whose incarnation is of this kind. It ends with the nursery."""
    server = Server()
    life = kind(server)
    life.launch(nursery)
    await wait_until_started(life)
    return life.ref, server
