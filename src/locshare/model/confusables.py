"""Confusable names: detects them, and numbers them to tell them apart. Pure.

Two names are confusable when a reader may take one for the other: the same letters in another case,
in full width or in another compatibility form, with invisible characters, or from another script
with the same shapes (a Cyrillic A). The shapes are those of Unicode Technical Standard 39, from the
data of the package confusable-homoglyphs.
"""

import json
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Final

import regex

from locshare.model.display_names import cut

_ignored: Final = regex.compile(r"[\p{Default_Ignorable_Code_Point}\p{Cf}]+", regex.VERSION1)


def distinct(name: str, others: Iterable[str], limit: int) -> str:
    """``name``, with the first number from 2 on that is needed to tell it from all ``others``. At
    most ``limit`` code points, which is more than the longest number needs.
    """
    taken: set[str] = set().union(*map(_keys, others))
    found, number = name, 1
    while not taken.isdisjoint(_keys(found)):
        number += 1
        suffix = f" {number}"
        found = cut(name, limit - len(suffix)) + suffix
    return found


def confusable(one: str, other: str) -> bool:
    """Whether a reader may take one name for the other."""
    return not _keys(one).isdisjoint(_keys(other))


@lru_cache(maxsize=4096)
def _keys(name: str) -> frozenset[str]:
    """Names that share one of these are confusable: the shape, and the shape of the folded name.

    Two keys, because the shape depends on the case: ``I`` looks like ``l``, and ``i`` does not.
    """
    plain = unicodedata.normalize("NFKC", _ignored.sub("", name))
    plain = " ".join(plain.split())
    # Folded again, because the shape of a digit 0 is a capital O.
    said = _shape(unicodedata.normalize("NFKC", plain.casefold())).casefold()
    return frozenset(("seen " + _shape(plain), "said " + _shape(said)))


def _shape(text: str) -> str:
    """The skeleton of UTS 39, section 4."""
    shapes = _SHAPES
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFD", "".join(shapes.get(each, each) for each in decomposed))


def _read_shapes() -> dict[str, str]:
    """The prototype of each character that looks like another one."""
    # The package's data file, not its module, which keeps three times as much in memory.
    text = (files("confusable_homoglyphs") / "confusables.json").read_text(encoding="utf-8")
    table: dict[str, list[dict[str, str]]] = json.loads(text)
    shapes = {}
    for character, found in table.items():
        # A character has one entry, its prototype; a prototype has an entry for each character of
        # its shape. Of a pair that name each other, the smaller one is the prototype.
        if len(character) == 1 and len(found) == 1:
            other = found[0]["c"]
            pair = len(table.get(other, ())) == 1 and len(other) == 1
            shape = min(character, other) if pair else other
            if shape != character:
                shapes[character] = shape.replace("\u200e", "")
    return shapes


_SHAPES: Final = _read_shapes()
