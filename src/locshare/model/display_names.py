"""Cleans a display name before others see it. Pure.

A name is a text on other people's screens. Invisible characters make two names look the same; heaps
of marks cover the text around them; a name that begins with nothing visible has no initial. So
invisible characters are removed, except where the writing of a language or an emoji needs them:

- the joiners ZWJ and ZWNJ as in RFC 5892, appendix A.1 and A.2 (after a virama; ZWNJ also between
  letters that would join, as in Persian), ZWJ before a virama (Bengali), and ZWJ inside an emoji;
- the variation selectors of an emoji, an ideograph or a Mongolian letter; the tags of a flag;
- the marks LRM, RLM and ALM in a name with right-to-left letters, but not where it begins.

Names are measured in code points, as PostgreSQL does. No cut is within a grapheme cluster, which a
reader takes for one character.
"""

import unicodedata
from typing import Final

import regex

MAX_ZWJ: Final = 3
"""In one emoji: a family of four, or a kiss of two with skin tones and a heart."""
MAX_MARKS: Final = 2
MAX_CLUSTER: Final = 16
"""Code points in one grapheme cluster: more than any language needs."""
MAX_ROUNDS: Final = 8
"""A name of any language settles in two or three. A text made for it takes hundreds: where a long
cluster is cut it joins the next one, which is then too long itself."""

_STACKING: Final = (
    "Beng", "Deva", "Gujr", "Guru", "Knda", "Mlym", "Orya", "Taml", "Telu", "Sinh", "Tibt", "Mymr",
    "Khmr", "Lana", "Bali", "Java",
)  # fmt: skip
"""Scripts in which a letter may carry 4 marks of the script, as in Burmese and Hindi words."""
_POINTED: Final = ("Hebr", "Arab", "Syrc")
"""Scripts in which a letter may carry 3: a dot, a doubling and a vowel."""

_V1: Final = regex.VERSION1

_ELEMENT: Final = r"\p{Extended_Pictographic}(?:\p{Emoji_Modifier}|[\uFE0E\uFE0F])?"
_EMOJI: Final = (
    r"\U0001F3F4[\U000E0030-\U000E0039\U000E0061-\U000E007A]{3,6}\U000E007F"  # a region's flag
    rf"|{_ELEMENT}(?:\u200D{_ELEMENT}){{0,{MAX_ZWJ}}}"
    r"|[0-9\#*]\uFE0F?\u20E3"  # a keycap
)
_VIRAMA: Final = r"\p{ccc=9}"
_JOINER: Final = (
    rf"(?<={_VIRAMA})[\u200C\u200D]"
    rf"|(?<=\p{{L}})\u200D(?={_VIRAMA})"
    r"|(?<=[\p{jt=L}\p{jt=D}]\p{jt=T}*)\u200C(?=\p{jt=T}*[\p{jt=R}\p{jt=D}])"
)
_SELECTOR: Final = (
    r"(?<=\p{Ideographic})[\uFE00-\uFE02\U000E0100-\U000E01EF]"
    r"|(?<=\p{Script=Mongolian})[\u180B-\u180F]"
)
_DIRECTION: Final = r"(?<=[^\u200E\u200F\u061C])[\u200E\u200F\u061C]"
_UNSEEN: Final = (
    r"[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Co}\p{Cs}"
    r"[\p{Cn}--\p{Extended_Pictographic}]"  # one reserved for emoji may be one by now
    r"\u2800\U0001D159]"
)

_token: Final = regex.compile(
    rf"(?P<kept>{_EMOJI}|{_JOINER}|{_SELECTOR})|(?P<direction>{_DIRECTION})|(?P<unseen>{_UNSEEN})",
    _V1,
)
_right_to_left: Final = regex.compile(r"[[\p{bc=R}\p{bc=AL}]&&\p{L}]", _V1)
_marks: Final = regex.compile(rf"(?P<kept>{_EMOJI}|{_SELECTOR})|(?P<marks>\p{{M}}+)", _V1)
_spaces: Final = regex.compile(r"\p{Zs}+", _V1)
_beginning: Final = regex.compile(r"\A[\p{M}\p{Z}]+", _V1)
_cluster: Final = regex.compile(r"\X", _V1)
_stacking: Final = regex.compile("|".join(rf"\p{{scx={name}}}" for name in _STACKING), _V1)
_pointed: Final = regex.compile("|".join(rf"\p{{scx={name}}}" for name in _POINTED), _V1)


def clean(text: str) -> str:
    """``text`` without invisible characters; empty if none is visible, or if it is made to keep us
    busy (:data:`MAX_ROUNDS`). Idempotent. O(len(text)²) at worst: bound the length before.
    """
    for _ in range(MAX_ROUNDS):
        cleaned = _clean_once(text)
        if cleaned == text:
            return text
        text = cleaned
    return ""


def cut(text: str, limit: int) -> str:
    """The beginning of ``text``, in whole clusters, of at most ``limit`` code points."""
    length = 0
    for found in _cluster.finditer(text):
        if found.end() > limit:
            break
        length = found.end()
    return text[:length].rstrip()


def _clean_once(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    direction = r"\g<0>" if _right_to_left.search(text) else ""

    def keep(found: "regex.Match[str]") -> str:
        if found["kept"] is not None:
            return str(found[0])
        return "" if found["unseen"] is not None else str(found.expand(direction))

    text = _token.sub(keep, text)
    text = _marks.sub(_few, text)
    text = _spaces.sub(" ", text)
    text = _beginning.sub("", text).rstrip()
    return "".join(found[0][:MAX_CLUSTER] for found in _cluster.finditer(text))


def _few(found: "regex.Match[str]") -> str:
    """At most as many marks as the letter before them may carry, and none twice. A precomposed
    letter with more marks, as in polytonic Greek, keeps them.
    """
    if found["kept"] is not None:
        return str(found[0])
    start = found.start()
    base = found.string[start - 1 : start]
    if not base or base.isspace():
        return ""
    most = 4 if _stacking.match(base) else 3 if _pointed.match(base) else MAX_MARKS
    own = _stacking if most == 4 else _pointed
    # Counted in NFD: NFC composes some with the letter, and two vowel signs into one.
    carried = unicodedata.normalize("NFD", base)[1:]
    kept = ""
    for mark in found[0]:
        allowed = most if most > MAX_MARKS and own.match(mark) else MAX_MARKS
        parts = unicodedata.normalize("NFD", mark)
        if mark not in kept and mark not in carried and len(carried) + len(parts) <= allowed:
            kept += mark
            carried += parts
    return kept
