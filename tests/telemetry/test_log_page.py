"""The catalogue of log lines is the code's: no line without its word, no word without a line."""

import re

from tools.log_page import EVENTS, PAGE, lines, page


def test_each_event_of_the_code_says_what_it_means_and_no_other_does() -> None:
    assert {line.event for line in lines()} == set(EVENTS)


def test_the_page_is_made_from_the_code() -> None:
    assert page() == PAGE.read_text(encoding="utf-8"), "run `make generate`"


def test_events_and_fields_are_named_as_all_are() -> None:
    for line in lines():
        assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", line.event), line
        for field in line.fields:
            assert field == "…" or re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", field), line


def test_what_an_operator_has_to_act_on_says_what_to_do() -> None:
    for line in lines():
        if "error" in line.levels:
            assert EVENTS[line.event].do, line
