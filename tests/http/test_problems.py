"""The codes of what the framework refuses."""

import pytest

from locshare.http.problems import ProblemCode, code_for_status


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, ProblemCode.NOT_FOUND),
        (405, ProblemCode.METHOD_NOT_ALLOWED),
        (413, ProblemCode.BODY_TOO_LARGE),
        (429, ProblemCode.RATE_LIMITED),
        (418, ProblemCode.BAD_REQUEST),
        (499, ProblemCode.BAD_REQUEST),
        (500, ProblemCode.INTERNAL_ERROR),
        (502, ProblemCode.INTERNAL_ERROR),
        (503, ProblemCode.UNAVAILABLE),
    ],
)
def test_a_status_has_its_code_or_that_of_its_class(status: int, code: ProblemCode) -> None:
    assert code_for_status(status) is code
