"""Imports go one way (docs/architecture.md): each room may import only the rooms named here."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "locshare"

GROUND = {"model", "config", "telemetry", "auth", "net"}
RUNTIME = {"actors", "supervisor"}

ALLOWED: dict[str, set[str]] = {
    "model": set(),
    "config": {"model"},
    "telemetry": {"model", "supervisor"},
    "auth": {"model", "config"},
    "net": {"model", "config"},
    "actors": set(),
    "supervisor": {"actors"},
    "wire": {"model"},
    "store": GROUND | RUNTIME,
    "broadcast": GROUND | RUNTIME | {"wire"},
    "session": GROUND | RUNTIME | {"wire", "broadcast", "store"},
    "http": GROUND,
    "connection": GROUND | RUNTIME | {"http", "wire", "broadcast", "session", "store"},
    "api": GROUND | RUNTIME | {"http", "wire", "session", "store"},
    "web": GROUND | {"http"},
    "ops": GROUND | RUNTIME | {"http", "wire", "broadcast", "session", "connection"},
    "client": {"model", "wire"},
    "simulate": GROUND | {"wire", "client"},
    "server": GROUND
    | RUNTIME
    | {"wire", "store", "broadcast", "session", "connection", "http", "api", "web", "ops"},
    "cli": GROUND | {"wire", "server", "client", "simulate", "ops"},
    "__main__": {"cli"},
    "__init__": set(),
}


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(tree: ast.AST) -> set[str]:
    rooms = set()
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [node.module or ""]
            if node.module == "locshare":
                names = [f"locshare.{alias.name}" for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("locshare.")}
    return rooms - {"__version__"}


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE))
)
def test_imports_go_one_way(path: Path) -> None:
    room = room_of(path)
    wrong = imported_rooms(ast.parse(path.read_text())) - ALLOWED[room] - {room}
    assert not wrong, f"{room} must not import {', '.join(sorted(wrong))}"


def test_sessions_know_the_store_only_by_its_port() -> None:
    for room in ("session", "connection", "api"):
        for path in (SOURCE / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                    "locshare.store"
                ):
                    assert node.module == "locshare.store.port", f"{path}: {node.module}"


WIRE_OF = {"broadcast": {"dialects", "messages"}, "session": {"dialects"}, "api": {"answers"}}
"""The modules of ``wire`` that a room may import; domain types come from ``model``."""


@pytest.mark.parametrize("room", WIRE_OF)
def test_domain_types_come_from_the_model_and_not_from_the_wire(room: str) -> None:
    for path in (SOURCE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("locshare.wire"):
                module = (node.module or "").rpartition(".")[2]
                assert module in WIRE_OF[room], f"{path}: {node.module}"


def test_only_the_transport_knows_the_websocket_library() -> None:
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            if any(name.split(".")[0] == "websockets" for name in names):
                assert path.relative_to(SOURCE).as_posix() == "connection/transport.py"
