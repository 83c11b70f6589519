"""Facts about the servers that can be started here. Lines and packages are counted, in the source
and in the metadata of installed distributions. Services, processes and survived disruptions are
stated; tests/bench/targets compares them with reality.
"""

import ast
import hashlib
import io
import platform
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
from bench.targets.limits import LIMITS

_PEERS = Path(bench.peers.__file__).parent
_BENCH = _PEERS.parent
_MEASURING = tuple(
    _BENCH / each for each in ("driver", "network", "people", "scenarios", "solo", "targets")
)
_SILENT = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip


class Program(Struct, frozen=True):
    """A server's source, its requirements, and its services."""

    sources: tuple[Path, ...]
    requirements: Path | str
    """A requirements file, or one requirement."""
    services: tuple[str, ...]
    processes: int
    """One for the server, and one per service, however many that has."""
    survives: tuple[DisruptionKind, ...]
    """Tested in tests/bench/targets, for locshare also in tests/faults and tests/e2e."""


PROGRAMS: Mapping[str, Program] = {
    "locshare": Program(
        sources=(Path(locshare.__file__).parent,),
        requirements="locshare[embedded]",
        services=("postgresql",),
        processes=2,
        survives=(
            *("crash_session", "kill_process", "pause_process", "cut_database"),
            *("cut_network", "drop_clients", *LIMITS),
        ),
    ),
    "redis": Program(
        sources=(_PEERS / "common", _PEERS / "redis"),
        requirements=_PEERS / "redis" / "requirements.txt",
        services=("redis",),
        processes=2,
        survives=("kill_process", "pause_process", "cut_network", "drop_clients", *LIMITS),
    ),
    "inprocess": Program(
        sources=(_PEERS / "common", _PEERS / "inprocess"),
        requirements=_PEERS / "inprocess" / "requirements.txt",
        services=(),
        processes=1,
        survives=("pause_process", "cut_network", "drop_clients", *LIMITS),
    ),
    "picows": Program(
        sources=(_PEERS / "common", _PEERS / "inprocess" / "sessions.py", _PEERS / "picows"),
        requirements=_PEERS / "picows" / "requirements.txt",
        services=(),
        processes=1,
        survives=("pause_process", "cut_network", "drop_clients", *LIMITS),
    ),
}


@cache
def facts(name: str) -> Facts:
    """Raises ValueError for an unknown name, PackageNotFoundError when a requirement is not
    installed.
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


def code_of(name: str) -> str:
    """A digest of the sources of this server and of what measures it, as they are now, and of the
    versions that they run on: figures of two digests may differ because the programs do. Raises
    KeyError for an unknown name, PackageNotFoundError.
    """
    program = PROGRAMS[name]
    digest = hashlib.sha256(platform.python_version().encode())
    for each in sorted(distributions(requirements(program.requirements))):
        digest.update(f"{each}=={metadata.version(each)}\n".encode())
    for source in _modules((*program.sources, *_MEASURING)):
        digest.update(source.encode())
    return digest.hexdigest()[:12]


def lines_of_code(source: str) -> int:
    """Lines that hold more than a comment or a docstring."""
    documentation = set(_docstrings(ast.parse(source)))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _SILENT and token.start not in documentation:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines)


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """Where docstrings begin, those below an attribute included."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                yield node.lineno, node.col_offset


def requirements(given: Path | str) -> list[Requirement]:
    """The requirements of a file, or the given one."""
    if isinstance(given, str):
        return [Requirement(given)]
    lines = (line.partition("#")[0].strip() for line in given.read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def distributions(wanted: Iterable[Requirement]) -> set[str]:
    """The distributions that an installation of ``wanted`` brings, indirect ones included, without
    locshare itself. Raises PackageNotFoundError.
    """
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = list(wanted)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        found.add(name)
        # "" stands for requirements without an extra.
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


def _modules(sources: Sequence[Path]) -> Iterator[str]:
    for source in sources:
        for path in sorted(source.rglob("*.py")) if source.is_dir() else (source,):
            yield path.read_text(encoding="utf-8")
