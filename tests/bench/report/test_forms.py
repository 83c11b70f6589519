"""What counts as a full form is what the scenarios call one."""

from bench.report.forms import FULL_FORMS, LADDER, FullForm
from bench.scenarios import SCENARIOS


def test_the_full_forms_are_those_of_the_scenarios() -> None:
    assert list(FULL_FORMS) == list(SCENARIOS)
    for name, scenario in SCENARIOS.items():
        if name == LADDER:
            assert FULL_FORMS[name].people is None
            assert {size.duration_s for size in scenario.sizes} == {FULL_FORMS[name].duration_s}
        else:
            [size] = scenario.sizes
            assert FULL_FORMS[name] == FullForm(size.people, size.duration_s)
