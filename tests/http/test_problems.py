"""The codes and phrases of refusals."""

import pytest

from locshare.http.problems import ProblemCode, code_for_status, phrase_of


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


@pytest.mark.parametrize(
    ("status", "phrase"),
    [(404, "Not Found"), (413, "Content Too Large"), (414, "URI Too Long"),
     (426, "Upgrade Required"), (431, "Request Header Fields Too Large"), (499, "Unknown")],
)  # fmt: skip
def test_a_status_has_the_phrase_of_rfc_9110_in_every_version_of_python(
    status: int, phrase: str
) -> None:
    assert phrase_of(status) == phrase
