"""The table of clients/phone/README.md that says what is sent how often, held to the code."""

import re

from phone.rate import (
    LOW_BATTERY,
    NOISE_M,
    RECOVERED_BATTERY,
    RENEW_S,
    STANDING_AFTER_S,
    Situation,
    rate,
    receive_pace,
)
from tests.phone.kit import ENVIRONMENTS

README = (ENVIRONMENTS.parents[1] / "README.md").read_text(encoding="utf-8")
TEXT = README.partition("## What is sent, how often")[2].partition("\n## ")[0]
ROWS = {
    cells[0]: cells[1:]
    for cells in (
        [each.strip() for each in line.strip("|").split("|")]
        for line in TEXT.splitlines()
        if line.startswith("| ")
    )
}


def seconds(cell: str) -> list[float]:
    return [float(each) for each in re.findall(r"every (\d+) s", cell)]


def test_the_table_says_what_the_code_does_in_each_state() -> None:
    states = {
        "map on the screen, moving": Situation(True, True, False),
        "map on the screen, still for 60 s": Situation(True, False, False),
        "screen off or another app, moving": Situation(False, True, False),
        "low-battery mode": Situation(True, True, True),
    }
    for name, situation in states.items():
        fixes, accuracy, sent, received = ROWS[name]
        found = rate(situation)
        assert seconds(fixes) == [found.interval_s], name
        assert accuracy.startswith("high" if found.precise else "medium"), name
        pace_s = receive_pace(visible=situation.visible, saving=situation.saving)
        assert seconds(received)[0] == pace_s, name
        assert seconds(sent) == [found.interval_s if situation.moving else RENEW_S], name


def test_what_stands_still_in_the_background_keeps_the_rate_that_it_was_hidden_with() -> None:
    fixes, _, sent, received = ROWS["screen off or another app, still for 60 s"]
    assert seconds(fixes) == [rate(Situation(False, True, False)).interval_s]
    assert f"({rate(Situation(False, False, False)).interval_s:g} s if" in fixes
    assert seconds(sent) == [RENEW_S]
    assert seconds(received) == [receive_pace(visible=False, saving=False)]


def test_the_words_around_the_table_have_the_numbers_of_the_code() -> None:
    assert f"noise ({NOISE_M:g} m" in TEXT
    assert f"still for {STANDING_AFTER_S:g} s" in TEXT
    assert f"after {RENEW_S:g} s the device is **asked**" in TEXT
    assert f"begins at {LOW_BATTERY:g} % and ends above {RECOVERED_BATTERY:g} %" in TEXT
    low = ROWS["low-battery mode"][3]
    assert seconds(low)[1] == receive_pace(visible=False, saving=True)
