# ruff: noqa: RUF001 - names that look like others are what this is about
"""What is left of a name, and which names look confusable."""

import random
import unicodedata

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from locshare.model import display_names
from locshare.model.confusables import _SHAPES, confusable, distinct
from locshare.model.display_names import MAX_CLUSTER, MAX_MARKS, MAX_ROUNDS, clean, cut

MARKS = st.characters(categories=["Mn", "Mc", "Me"])
ODD = st.characters(categories=["Cf", "Co", "Cn", "Zs"]) | st.sampled_from(
    "\u200b\u200c\u200d\u200e\u200f\u061c\u00ad\u034f\u115f\u3164\u2800\ufe0f\ufeff\U000e0061"
)
LETTERS = st.characters(categories=["L", "N", "S", "P"]) | st.sampled_from("AdaАמم क👨❤️🏴")
TEXTS = st.lists(LETTERS | MARKS | ODD, max_size=30).map("".join)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Ada", "Ada"),
        ("A\u200bd\u2060a\ufeff\u00ad", "Ada"),
        ("\u200e\u200fAda\u200e", "Ada"),
        ("\u2062\u180eAda\u034f\U000e0041", "Ada"),
        ("\u0301\u0302Ada", "Ada"),
        (" \u0301 Ada", "Ada"),
        ("Ada \u0301Lovelace", "Ada Lovelace"),
        ("\u0915\u0300\u0302\u0303\u0304", "\u0915\u0300\u0302"),
        ("\u2800\u3164\uffa0\u115fAda", "Ada"),
        ("\ue000A\U000f0000da\u0378", "Ada"),
        ("A\ufe0fda\ufe00", "Ada"),
        ("A\u200dd\u200ca", "Ada"),
        ("A\u00a0\u2003 da\u3000", "A da"),
        ("Z\u0300\u0301\u0302\u0303algo", "Z\u0300\u0301algo"),
        ("Ada\u0308\u0308\u0308", "Ad\u00e4"),
        ("\u1ebf\u0323", "\u1ec7"),
        ("\u0e01\u0e49\u0e49\u0e49\u0e49\u0e49", "\u0e01\u0e49"),
        ("\u200b\u200f \u0301", ""),
        ("\u3164", ""),
        ("\u0646\u200f", "\u0646\u200f"),
        ("\u200f\u0646", "\u0646"),
        ("\u0646\u200f\u200e\u200f!", "\u0646\u200f!"),
    ],
)
def test_invisible_characters_are_removed(text: str, left: str) -> None:
    assert clean(text) == left


@pytest.mark.parametrize(
    "name",
    [
        "Ada Lovelace",
        "Zoë",
        "Nguyễn Thị Ế",
        "ᾧ",
        "Łukasz-Ørjan O’Neil",
        "李小龍",
        "葛\U000e0100城",
        "علی\u200cرضا",
        "می\u200cخواهم",
        "مُحَمَّدٌ",
        "שלום!\u200f",
        "שָּׁלוֹם",
        "नमस्ते",
        "पड़ें",
        "क्\u200dष",
        "क्\u200cष",
        "র\u200d্যাব",
        "ශ්\u200dරී",
        "മലയാളം",
        "မြို့",
        "ខ្មែរ",
        "བརྒྱུད",
        "ก็ได้",
        "ᠮᠣᠩᠭᠣᠯ\u180b",
        "👨\u200d👩\u200d👧\u200d👦",
        "🏳\ufe0f\u200d🌈",
        "👩🏽\u200d🚀",
        "👩🏻\u200d❤\ufe0f\u200d💋\u200d👨🏿",
        "1\ufe0f⃣",
        "❤\ufe0f",
        "🇩🇪",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "한국어",
        "が",
        "O'B #1 (x) @y",
    ],
)
def test_characters_that_a_script_or_an_emoji_needs_are_kept(name: str) -> None:
    assert clean(name) == unicodedata.normalize("NFC", name)


@given(TEXTS)
@example("\u200f\u200b\u0646")
@example("a\u0301\u200b\u0301\u200b\u0301")
@example("\u0915\u094d\u200d\u200d\u200d")
def test_any_text_is_cleaned_to_a_valid_name(text: str) -> None:
    name = clean(text)
    assert clean(name) == name
    assert name == unicodedata.normalize("NFC", name)
    assert name == name.strip()
    assert "  " not in name
    if name:
        # By the library's Unicode, which may be newer than Python's.
        assert regex.match(r"[\p{L}\p{N}\p{P}\p{S}\p{Extended_Pictographic}]", name)
    assert not regex.search(r"\p{Co}|\p{Cs}|[\u200b\u2060\ufeff\u00ad\u3164\u2800]", name)
    assert not regex.search(r"[A-Za-zА-я][\p{Mn}\p{Me}]{3}", name)
    assert all(len(each) <= MAX_CLUSTER for each in regex.findall(r"\X", name))


def test_a_text_that_keeps_us_busy_is_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of letters and joining signs of Hindi: each cut of a cluster lengthens the next one."""
    rounds: list[str] = []
    clean_once = display_names._clean_once

    def counted(text: str) -> str:
        rounds.append(text)
        return clean_once(text)

    monkeypatch.setattr(display_names, "_clean_once", counted)
    assert clean("".join(random.Random(2).choices("क्", k=400))) == ""  # noqa: S311 - repeatable
    assert len(rounds) == MAX_ROUNDS


@given(st.text("AdaйåЖ", min_size=1, max_size=3), st.lists(MARKS, max_size=20))
@example("å", ["\u09cb"])
def test_no_letter_carries_more_than_two_marks(letters: str, marks: list[str]) -> None:
    name = clean(letters + "".join(marks))
    runs = regex.findall(r"\p{M}+", unicodedata.normalize("NFD", name))
    assert all(len(run) <= MAX_MARKS for run in runs)


@given(TEXTS, st.integers(0, 40))
def test_nothing_is_cut_in_the_middle_of_a_character(text: str, limit: int) -> None:
    beginning = cut(text, limit)
    assert len(beginning) <= limit
    assert text.startswith(beginning)
    rest = text[len(beginning) :]
    assert (
        regex.findall(r"\X", beginning) + regex.findall(r"\X", rest) == regex.findall(r"\X", text)
        or rest[:1].isspace()
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada", "Ada"), ("Ada", "ADA"), ("Ada", "ada"), ("Ada", "\u0410d\u0430"), ("Ada", "Ａｄａ"),
        ("Ada", "\U0001d400da"), ("Ada", "A\u200bda"), ("Ada", "Ad\u0430\u200f"), ("Al", "AI"),
        ("Bob", "B0b"), ("Straße", "STRASSE"), ("modern", "modem"), ("A  da", "a da"),
        ("Zo\u00eb", "Zoe\u0308"), ("\u1e9e", "ss"), ("\u03a1aul", "Paul"), ("Ada²", "Ada2"),
    ],
)  # fmt: skip
def test_names_that_a_reader_may_confuse_are_confusable(one: str, other: str) -> None:
    assert confusable(one, other)
    assert confusable(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada", "Ida"), ("Ada", "Ada 2"), ("Ali", "All"), ("Zoë", "Zoe"), ("Иван", "Ivan"),
        ("Ada", "A da"), ("李", "季"), ("👩", "👨"), ("Bo", "Bob"),
    ],
)  # fmt: skip
def test_names_that_look_different_are_not_confusable(one: str, other: str) -> None:
    assert not confusable(one, other)


def test_a_second_ada_gets_a_number() -> None:
    assert distinct("Ada", [], 100) == "Ada"
    assert distinct("Ada", ["Bo"], 100) == "Ada"
    assert distinct("Ada", ["Ada"], 100) == "Ada 2"
    assert distinct("\u0410da", ["Ada", "ada 2"], 100) == "\u0410da 3"
    assert distinct("ADA", ["Ada 3", "Ada", "Ada 2"], 100) == "ADA 4"


@given(st.lists(TEXTS.map(clean).filter(bool), min_size=1, max_size=12), st.integers(12, 40))
def test_in_a_group_no_two_names_are_alike_and_none_is_too_long(
    wishes: list[str], limit: int
) -> None:
    names: list[str] = []
    for wish in wishes + wishes:
        names.append(distinct(cut(wish, limit) or "x", names, limit))
        assert len(names[-1]) <= limit
        assert not any(confusable(names[-1], other) for other in names[:-1])


def test_a_number_does_not_cut_a_character_in_two() -> None:
    family = "👨\u200d👩\u200d👧\u200d👦"
    long = family * 14  # 98 code points
    assert distinct(long, [long], 98) == family * 13 + " 2"


def test_one_character_is_no_longer_than_a_language_needs() -> None:
    assert clean("\u1100" * 30) == "\u1100" * 16
    assert clean("👨" + "\u200d👨" * 5) == "👨" + "\u200d👨" * 3 + "👨\u200d👨"


def test_every_character_of_the_table_looks_like_its_prototype() -> None:
    assert len(_SHAPES) > 4000
    unlike = [character for character, shape in _SHAPES.items() if not confusable(character, shape)]
    # Signs that a compatibility form or a decomposition makes another of first.
    assert len(unlike) < 100
    assert not any(character.isalpha() and character.isascii() for character in unlike)
    assert confusable("\u05ad", "\u0596"), "a pair, of which each has the other"
