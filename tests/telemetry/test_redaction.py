"""Redaction as a function of texts and exceptions; tests/telemetry/test_logs.py has whole lines."""

import errno
import os

import pytest

from locshare.telemetry.redaction import format_exception, scrub, stack_of


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("GET /ws?token=abc123 HTTP/1.1", "abc123"),
        ("Authorization: Bearer abc123", "abc123"),
        ("{'authorization': 'Basic YWRhOnB3'}", "YWRhOnB3"),
        ("connecting to postgresql://ada:pa/5@5@db:5432/x", "pa/5@5"),
        ('password="two words" x=1', "two words"),
        ("Position(lat=52.52, lng=13.405, accuracy=4)", "52.52"),
        ("Position(lat=52.52, lng=13.405, accuracy=4)", "13.405"),
        ('{"latitude": -0.5, "longitude": "7"}', "-0.5"),
        ('{"latitude": -0.5, "longitude": "7"}', "7"),
    ],
)
def test_what_text_says_about_itself_is_believed(text: str, hidden: str) -> None:
    assert hidden not in scrub(text)
    assert scrub(scrub(text)) == scrub(text)


@pytest.mark.parametrize(
    "text",
    ["http://127.0.0.1:8080/join/6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11", "token_id=5", "1.5 s",
     "10.0.0.1:5432 refused", "ratio 52.5 %", "a@b.example", "the token has expired"],
)  # fmt: skip
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize("number", sorted(errno.errorcode))
@pytest.mark.parametrize("name", ["jwt_secret", "token", "password"])
def test_what_the_system_says_of_a_file_is_no_secret(name: str, number: int) -> None:
    for text in (
        f"cannot keep /srv/{name}: {os.strerror(number)}. Choose another place",
        f"/srv/{name}: {OSError(number, os.strerror(number), '/srv/x')}",
    ):
        assert scrub(text) == text


@pytest.mark.parametrize(
    "text",
    ["needs a bearer token", "Bearer tokens are not in URLs", "postgresql://user:password@host/x"],
)
def test_a_word_that_stands_for_a_secret_is_none(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize("text", ["secret: Permission9x", "Bearer token9x", "secret: [Errno x"])
def test_what_only_begins_like_it_is_hidden(text: str) -> None:
    assert "9x" not in scrub(text)
    assert "Errno" not in scrub(text)


def test_coordinates_in_an_exceptions_text_are_taken_out() -> None:
    error = ValueError("cannot place (52.520008, -13.404954)")
    error.add_note("near 7.123 / 46.9876")
    text = format_exception((ValueError, error, None))
    assert "cannot place ([redacted], [redacted])" in text
    assert "near [redacted] / [redacted]" in text


def test_causes_and_groups_are_shown_and_redacted() -> None:
    try:
        try:
            raise KeyError("password=hush")
        except KeyError as cause:
            raise ExceptionGroup("several", [OSError("token: hush")]) from cause
    except ExceptionGroup as error:
        text = format_exception((type(error), error, error.__traceback__))
    assert "hush" not in text
    assert "KeyError" in text
    assert "OSError: token: [redacted]" in text


def test_a_stack_says_where_and_not_what() -> None:
    def deeper(depth: int) -> None:
        secret = "52.51632"
        if depth == 0:
            raise ValueError(secret)
        deeper(depth - 1)

    with pytest.raises(ValueError, match="52") as caught:
        deeper(2)
    lines = stack_of(caught.value).splitlines()
    assert len(lines) == 4
    assert lines[-1].startswith(f'  File "{__file__}", line ')
    assert lines[-1].endswith("test_a_stack_says_where_and_not_what.<locals>.deeper")
    assert "52.5" not in "".join(lines)
    with pytest.raises(ValueError, match="52") as caught:
        deeper(200)
    assert len(stack_of(caught.value).splitlines()) == 50
    assert stack_of(ValueError()) == ""
