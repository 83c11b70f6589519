"""Names and colours, which others choose."""

from hypothesis import given
from hypothesis import strategies as st

from phone.screens.theme import initials, ink_on, safe_color


def test_names_and_colours_of_others_are_not_trusted() -> None:
    assert [initials(each) for each in ("Ada Lovelace", "ada", "  ", "李 小龍", "★", "a b c")] == [
        "AL", "A", "?", "李", "★", "AC",
    ]  # fmt: skip
    assert safe_color("#12345g") == "#808080"
    assert safe_color("red") == "#808080"
    assert ink_on("#FFFFFF") == "#000000"
    assert ink_on("#0B6E5F") == "#FFFFFF"


@given(st.text(max_size=100))
def test_any_name_has_initials(name: str) -> None:
    assert initials(name)
