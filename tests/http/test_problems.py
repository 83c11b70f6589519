"""The codes of what the framework refuses."""

import pytest

from locshare.http.problems import Code, code_for_status


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, Code.NOT_FOUND),
        (405, Code.METHOD_NOT_ALLOWED),
        (413, Code.BODY_TOO_LARGE),
        (429, Code.RATE_LIMITED),
        (418, Code.BAD_REQUEST),
        (499, Code.BAD_REQUEST),
        (500, Code.INTERNAL_ERROR),
        (502, Code.INTERNAL_ERROR),
        (503, Code.UNAVAILABLE),
    ],
)
def test_a_status_has_its_code_or_that_of_its_class(status: int, code: Code) -> None:
    assert code_for_status(status) is code
