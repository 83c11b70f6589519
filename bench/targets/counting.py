"""What is known of the servers that can be started here without measuring them. Lines and packages
are counted, in their source and in the metadata of what is installed; services, processes and what
is survived are stated here, and tests/bench/targets compares them with what runs.
"""

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

from msgspec import Struct
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bench.peers
import locshare
from bench.results import DisruptionKind, Facts

_PEERS = Path(bench.peers.__file__).parent
_SILENT = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip


class Program(Struct, frozen=True):
    """Where a server's own source is, what it asks for, and what stands beside it."""

    sources: tuple[Path, ...]
    requirements: Path | str
    """A file of requirements, or one that is installed."""
    services: tuple[str, ...]
    processes: int
    """The server's, and one for each service beside it, however many that has."""
    survives: tuple[DisruptionKind, ...]
    """Shown by tests: of locshare those in tests/faults and tests/e2e, of all the server's that
    people come back to after it in tests/bench/targets.
    """


PROGRAMS: Mapping[str, Program] = {
    "locshare": Program(
        sources=(Path(locshare.__file__).parent,),
        requirements="locshare[embedded]",
        services=("postgresql",),
        processes=2,
        survives=(
            *("crash_session", "kill_process", "pause_process", "cut_database"),
            *("cut_network", "drop_clients"),
        ),
    ),
    "redis": Program(
        sources=(_PEERS / "common", _PEERS / "external"),
        requirements=_PEERS / "external" / "requirements.txt",
        services=("redis",),
        processes=2,
        survives=("kill_process", "pause_process", "cut_network", "drop_clients"),
    ),
    "inprocess": Program(
        sources=(_PEERS / "common", _PEERS / "inprocess"),
        requirements=_PEERS / "inprocess" / "requirements.txt",
        services=(),
        processes=1,
        survives=("pause_process", "cut_network", "drop_clients"),
    ),
}


@cache
def facts(name: str) -> Facts:
    """Of a server that can be started here. Raises ValueError for another name, and
    PackageNotFoundError when something that it needs is not installed.
    """
    try:
        program = PROGRAMS[name]
    except KeyError:
        allowed = ", ".join(PROGRAMS)
        raise ValueError(f"nothing is known of {name!r}; allowed are {allowed}") from None
    return Facts(
        language="Python",
        lines_of_code=sum(map(lines_of_code, _modules(program.sources))),
        dependencies=len(distributions(requirements(program.requirements))),
        services=program.services,
        processes=program.processes,
        survives=program.survives,
    )


def lines_of_code(source: str) -> int:
    """Lines with something on them that is neither comment nor docstring."""
    documentation = set(_docstrings(ast.parse(source)))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _SILENT and token.start not in documentation:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines)


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """Where strings begin that are statements: docstrings, and those below an attribute."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                yield node.lineno, node.col_offset


def requirements(given: Path | str) -> list[Requirement]:
    """Those of a file, or the one that is given."""
    if isinstance(given, str):
        return [Requirement(given)]
    lines = (line.partition("#")[0].strip() for line in given.read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def distributions(wanted: Iterable[Requirement]) -> set[str]:
    """The names of all that an installation of ``wanted`` brings here, the indirect ones too; the
    program itself is not a dependency. Raises PackageNotFoundError.
    """
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = list(wanted)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        found.add(name)
        # "" stands for what is needed whatever extra is asked for.
        for extra in {"", *requirement.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += _needs(name, extra)
    return found - {"locshare"}


def _needs(name: str, extra: str) -> Iterator[Requirement]:
    for line in metadata.requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None:
            if not extra:
                yield requirement
        elif requirement.marker.evaluate({"extra": extra}):
            yield requirement


def _modules(folders: Sequence[Path]) -> Iterator[str]:
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            yield path.read_text(encoding="utf-8")
