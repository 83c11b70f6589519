"""A histogram counts each observation once, as Prometheus reads it."""

from functools import reduce
from operator import add

from hypothesis import given
from hypothesis import strategies as st

from locshare.telemetry.histogram import DURATIONS_S, Histogram
from locshare.telemetry.metrics import histogram

values = st.lists(st.floats(0, 20, allow_nan=False), max_size=50)


@given(values)
def test_each_bucket_holds_what_does_not_exceed_its_bound(observed: list[float]) -> None:
    counted = Histogram()
    for value in observed:
        counted.observe(value)
    family = histogram("x_seconds", "X.", counted.read())
    found = {each.labels.get("le", each.name): each.value for each in family.samples}
    for bound in DURATIONS_S:
        assert found[str(bound)] == sum(value <= bound for value in observed)
    assert found["+Inf"] == found["x_seconds_count"] == len(observed)
    # As they came: `sum` makes up for rounding from Python 3.12 on.
    assert found["x_seconds_sum"] == reduce(add, observed, 0.0)
