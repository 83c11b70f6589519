"""Mutants that nobody can notice, each with the reason (`equivalents.toml`).

An entry names the lines as they are and as they would be, not their numbers: it holds until one of
them changes, and is stale then.
"""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tools.mutants.making import Mutant

FILE: Final = Path(__file__).with_name("equivalents.toml")
Key = tuple[str, str, str]


def accepted() -> dict[Key, str]:
    """The reasons, by file and lines. Raises ValueError when an entry is not whole, or twice."""
    found: dict[Key, str] = {}
    for entry in tomllib.loads(FILE.read_text()).get("equivalent", []):
        if entry.keys() != {"file", "before", "after", "reason"} or not entry["reason"].strip():
            raise ValueError(f"{FILE.name}: file, before, after and reason are needed: {entry}")
        key = (entry["file"], entry["before"], entry["after"])
        if key in found:
            raise ValueError(f"{FILE.name}: twice: {entry}")
        found[key] = entry["reason"]
    return found


def key_of(mutant: "Mutant") -> Key:
    """How an entry names it."""
    return mutant.file, mutant.before, mutant.after


def stale(mutants: "Iterable[Mutant]") -> list[Key]:
    """Entries about the files of ``mutants`` that are none of them."""
    keys = {key_of(mutant) for mutant in mutants}
    files = {file for file, _, _ in keys}
    return [key for key in accepted() if key[0] in files and key not in keys]
