"""Which server the app talks to."""

import re
from pathlib import Path

import pytest

from phone.backend import TOPIC, Backend, parse_backend, read_environments
from tests.phone.kit import ENVIRONMENTS


def test_the_environments_of_the_build_are_valid() -> None:
    found = read_environments(ENVIRONMENTS)
    assert found.default in found.named
    assert found.named["phoenix"].dialect == "phoenix"
    assert found.choose("local").url == "http://127.0.0.1:8080"
    assert found.choose("maps.example") == Backend("https://maps.example")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "environment"),
        ('default = "x"\n[environment.a]\nurl = "https://a"', "none of a"),
        ('default = "a"\n[environment.a]\nurl = "ftp://a"', "ftp"),
        ('default = "a"\n[environment.a]\nurl = "https://a"\nspeed = 1', "speed"),
        ('default = "a"\n[environment]\na = 5', "environments.toml"),
    ],
)
def test_a_wrong_file_of_environments_says_what_is_wrong(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "environments.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(says)):
        read_environments(path)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (("not a server", "locshare", "", ""), "url"),
        (("https://a?b", "locshare", "", ""), "url"),
        (("https://a", "smoke", "", ""), "dialect"),
        (("https://a", "phoenix", "http://a", ""), "socket"),
        (("https://a", "phoenix", "", "rooms"), "topic"),
    ],
)
def test_a_server_that_cannot_be_is_refused_by_the_wrong_part(
    given: tuple[str, str, str, str], part: str
) -> None:
    with pytest.raises(ValueError, match=f"^{part}"):
        parse_backend(*given)
    assert parse_backend("https://a/").topic == TOPIC
