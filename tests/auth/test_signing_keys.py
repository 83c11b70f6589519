"""The keys that sign: their length, their ids, and the host keys made of them."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from locshare.auth.secret_file import SecretError
from locshare.auth.signing_keys import SigningKeys, key_id

SECRET = b"k" * 32
OTHER = b"o" * 32
SESSION = UUID("6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = NOW + timedelta(hours=6)


def test_the_id_of_a_key_has_eight_hex_digits() -> None:
    assert re.fullmatch(r"[0-9a-f]{8}", key_id(SECRET))


def test_a_key_is_at_least_32_bytes_long() -> None:
    with pytest.raises(SecretError, match="31 bytes; at least 32"):
        SigningKeys(b"k" * 31)
    with pytest.raises(SecretError, match="the previous secret"):
        SigningKeys(SECRET, previous="short")


def test_the_date_of_the_previous_key_needs_a_time_zone() -> None:
    with pytest.raises(SecretError, match="time zone"):
        SigningKeys(SECRET, previous=OTHER, previous_until=NOW.replace(tzinfo=None))


def test_a_host_key_is_that_of_one_session_and_one_secret() -> None:
    session, other = uuid4(), uuid4()
    keys = SigningKeys("a" * 32)
    key = keys.host_key(session)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", key)
    assert SigningKeys("a" * 32).is_host_key(session, key)
    assert not keys.is_host_key(other, key)
    assert not SigningKeys("b" * 32).is_host_key(session, key)
    for wrong in ("", key[:-1], key + "=", key.swapcase(), "\ud800", "x" * 10_000):
        assert not keys.is_host_key(session, wrong)


def test_a_host_key_of_the_previous_secret_counts_as_long_as_that_does() -> None:
    session, now = uuid4(), datetime(2026, 3, 1, tzinfo=UTC)
    old = SigningKeys("a" * 32).host_key(session)

    def rotated(**until: datetime) -> SigningKeys:
        return SigningKeys("b" * 32, previous="a" * 32, now=lambda: now, **until)

    later, earlier = now + timedelta(seconds=1), now - timedelta(seconds=1)
    assert rotated().is_host_key(session, old)
    assert rotated(previous_until=later).is_host_key(session, old)
    assert not rotated(previous_until=now).is_host_key(session, old)
    assert not rotated(previous_until=earlier).is_host_key(session, old)
    assert rotated().is_host_key(session, rotated().host_key(session))
    assert rotated().host_key(session) != old
