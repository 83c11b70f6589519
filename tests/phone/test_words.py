"""Words, in every language."""

import re
from string import Formatter
from typing import Any

from phone.i18n import CATALOGUES, NAMES, words_in
from tests.phone.kit import ENVIRONMENTS


def test_every_language_has_every_text_with_the_same_values() -> None:
    def values(text: Any) -> set[str]:
        parts = [text] if isinstance(text, str) else text.values()
        return {name for part in parts for _, name, _, _ in Formatter().parse(part) if name}

    english = CATALOGUES["en"]
    assert {*NAMES} == {*CATALOGUES}
    for texts in CATALOGUES.values():
        assert {*texts} == {*english}
        for key, text in texts.items():
            assert values(text) == values(english[key]), key
            if not isinstance(text, str):
                assert {*text} == {"one", "other"}, key


def test_every_text_that_the_screens_name_is_there() -> None:
    source = ENVIRONMENTS.parent / "phone"
    named = {
        key
        for path in source.rglob("*.py")
        for key in re.findall(r'"([a-z]+(?:\.[a-z_]+)+)"', path.read_text())
        if key.partition(".")[0] in {key.partition(".")[0] for key in CATALOGUES["en"]}
    }
    assert named - {*CATALOGUES["en"]} == set()
    assert len(named) > 100


def test_the_language_of_a_device_is_found_or_it_is_english() -> None:
    assert words_in("de_AT").language == "de"
    assert words_in("de-CH").language == "de"
    assert words_in("fr").language == "en"
    assert words_in("").language == "en"


def test_times_and_distances_are_said_as_people_do() -> None:
    english, german = words_in("en"), words_in("de")
    assert [english.ago(each) for each in (2, 33, 61, 7300, 90_000, 200_000)] == [
        "just now", "30 s ago", "1 min ago", "2 h ago", "25 h ago", "2 days ago",
    ]  # fmt: skip
    assert german.ago(200_000) == "vor 2 Tagen"
    assert english.left(3_700) == "1 h 01 min"
    assert english.left(-5) == "0:00"
    assert [german.distance(each) for each in (4, 237, 1_240, 12_600)] == [
        "hier", "240 m", "1,2 km", "13 km",
    ]  # fmt: skip


def test_a_name_that_reads_as_the_readers_own_stands_in_quotation_marks() -> None:
    english, german = words_in("en"), words_in("de")
    names = ["You", "yOU", "Ada (you)", "Du", "Ada (DU)"]
    assert [english.as_name(each) for each in names] == [
        "“You”", "“yOU”", "“Ada (you)”", "Du", "Ada (DU)",
    ]  # fmt: skip
    assert [german.as_name(each) for each in names[2:]] == ["Ada (you)", "„Du“", "„Ada (DU)“"]
