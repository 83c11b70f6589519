"""Tokens and the secret they are signed with."""

import base64
import json
import os
import re
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locshare.auth.tokens import (
    LEEWAY_S,
    MAX_TOKEN_CHARS,
    SecretError,
    TokenExpired,
    TokenInvalid,
    TokenKeys,
    key_id,
    load_or_create_secret,
)

SECRET = b"k" * 32
OTHER = b"o" * 32
SESSION = UUID("6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = NOW + timedelta(hours=6)


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


def keys(clock: Clock | None = None, **options: Any) -> TokenKeys:
    return TokenKeys(SECRET, now=clock or Clock(), **options)


def issue(tokens: TokenKeys, **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "session_id": SESSION, "user_id": "ada", "role": "host", "expires_at": END,
    }  # fmt: skip
    return tokens.issue(**(arguments | changes))


def forge(
    changes: dict[str, Any] | None = None,
    *,
    drop: str | None = None,
    key: bytes = SECRET,
    algorithm: str = "HS256",
    headers: dict[str, Any] | None = None,
) -> str:
    """A token with the claims of a good one but for ``changes``."""
    payload: dict[str, Any] = {
        "iss": "locshare", "aud": "locshare", "sub": "ada", "session": str(SESSION),
        "role": "host", "iat": int(NOW.timestamp()), "exp": int(END.timestamp()), "jti": "1",
    }  # fmt: skip
    payload |= changes or {}
    if drop is not None:
        del payload[drop]
    return jwt.encode(payload, key, algorithm, headers={"kid": key_id(SECRET)} | (headers or {}))


def unsigned(header: dict[str, Any], payload: dict[str, Any]) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(payload)}."


def test_a_token_says_what_it_was_issued_for() -> None:
    claims = keys().verify(issue(keys(), role="participant"))
    assert (claims.session_id, claims.user_id, claims.role) == (SESSION, "ada", "participant")
    assert claims.expires_at == END


def test_a_forged_token_with_all_the_right_claims_is_the_base_of_the_tests_below() -> None:
    assert keys().verify(forge()).user_id == "ada"


def test_no_two_tokens_are_the_same() -> None:
    first, second = (keys().verify(issue(keys())) for _ in range(2))
    assert first.token_id != second.token_id


def test_the_header_names_the_one_algorithm_and_the_key() -> None:
    assert jwt.get_unverified_header(issue(keys())) == {
        "typ": "JWT", "alg": "HS256", "kid": key_id(SECRET),
    }  # fmt: skip


def test_a_token_does_not_end_before_its_session() -> None:
    end = END + timedelta(milliseconds=1)
    assert keys().verify(issue(keys(), expires_at=end)).expires_at == END + timedelta(seconds=1)


def test_a_token_is_expired_after_its_session_and_the_leeway() -> None:
    clock = Clock()
    token = issue(keys())
    clock.time = END + timedelta(seconds=LEEWAY_S - 1)
    assert keys(clock).verify(token).user_id == "ada"
    clock.time = END + timedelta(seconds=LEEWAY_S)
    with pytest.raises(TokenExpired):
        keys(clock).verify(token)


def test_the_leeway_is_five_seconds() -> None:
    clock = Clock()
    tokens = keys(clock)
    token = issue(tokens)
    clock.time = END + timedelta(seconds=4.9)
    tokens.verify(token)
    clock.time = END + timedelta(seconds=5)
    with pytest.raises(TokenExpired):
        tokens.verify(token)


def test_a_token_has_at_most_2048_characters() -> None:
    by_length = {
        len(token): token for token in (issue(keys(), user_id="a" * n) for n in range(1100, 1500))
    }
    keys().verify(by_length[2048])
    with pytest.raises(TokenInvalid):
        keys().verify(by_length[min(length for length in by_length if length > 2048)])


def test_the_id_of_a_key_has_eight_hex_digits() -> None:
    assert re.fullmatch(r"[0-9a-f]{8}", key_id(SECRET))


def test_an_expired_forgery_is_invalid_not_expired() -> None:
    clock = Clock()
    clock.time = END + timedelta(days=1)
    with pytest.raises(TokenInvalid):
        keys(clock).verify(forge(key=OTHER))


def test_a_token_issued_before_the_clock_was_set_back_stays_valid() -> None:
    clock = Clock()
    clock.time = NOW - timedelta(hours=1)
    assert keys(clock).verify(issue(keys())).user_id == "ada"


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "not a token",
        "\u20ac.\u20ac.\u20ac",
        "\ud800",
        "\x00",
        "é" * 100,
        "A" * (MAX_TOKEN_CHARS + 1),
        unsigned({"alg": "none", "kid": key_id(SECRET)}, {"sub": "ada"}),
        unsigned({"alg": "HS256", "kid": ["x"]}, {}),
        unsigned({"alg": "HS256", "kid": key_id(SECRET)}, {"sub": "ada"}),
        "W10.W10.W10",
    ],
)
def test_what_is_not_a_token_is_invalid(token: str) -> None:
    with pytest.raises(TokenInvalid):
        keys().verify(token)


def test_a_token_without_a_signature_is_invalid_whatever_its_claims() -> None:
    header, payload, _ = forge().split(".")
    none = base64.urlsafe_b64encode(
        json.dumps({"alg": "none", "typ": "JWT", "kid": key_id(SECRET)}).encode()
    )
    for token in (f"{header}.{payload}.", f"{none.rstrip(b'=').decode()}.{payload}."):
        with pytest.raises(TokenInvalid):
            keys().verify(token)


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_with_the_right_key_is_invalid(algorithm: str) -> None:
    long_key = SECRET * 2
    tokens = TokenKeys(long_key, now=Clock())
    good = forge(key=long_key, headers={"kid": key_id(long_key)})
    assert tokens.verify(good).user_id == "ada"
    token = forge(key=long_key, algorithm=algorithm, headers={"kid": key_id(long_key)})
    with pytest.raises(TokenInvalid):
        tokens.verify(token)


@pytest.mark.parametrize(
    "token",
    [
        forge(key=OTHER),
        forge(headers={"kid": key_id(OTHER)}),
        forge(headers={"kid": ""}),
        forge({"aud": "somewhere"}),
        forge({"aud": []}),
        forge({"iss": "someone"}),
        forge({"role": "admin"}),
        forge({"role": ["host"]}),
        forge({"role": None}),
        forge({"session": "no-uuid"}),
        forge({"session": 7}),
        forge({"sub": ""}),
        forge({"exp": 1e30}),
        forge({"exp": 10**18}),
        forge({"exp": True}),
        forge({"exp": "tomorrow"}),
        *(
            forge(drop=claim)
            for claim in ("iss", "aud", "sub", "session", "role", "iat", "exp", "jti")
        ),
    ],
)
def test_a_wrong_or_missing_claim_makes_a_token_invalid(token: str) -> None:
    with pytest.raises(TokenInvalid):
        keys().verify(token)


@given(position=st.integers(min_value=0, max_value=400), replacement=st.characters(codec="ascii"))
def test_no_changed_character_goes_unnoticed(position: int, replacement: str) -> None:
    token = forge()
    position %= len(token)
    changed = token[:position] + replacement + token[position + 1 :]
    # The last character of the signature holds bits that base64 throws away.
    if changed == token or position == len(token) - 1:
        return
    with pytest.raises(TokenInvalid):
        keys().verify(changed)


@given(token=st.text(max_size=200))
def test_any_text_is_a_token_or_invalid(token: str) -> None:
    with pytest.raises(TokenInvalid):
        keys().verify(token)


def test_neither_error_nor_repr_shows_a_token_or_a_secret() -> None:
    token = forge({"aud": "somewhere"})
    with pytest.raises(TokenInvalid) as caught:
        keys().verify(token)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert token.split(".")[1] not in str(caught.value)
    shown = repr(keys(previous=OTHER))
    assert SECRET.decode() not in shown
    assert OTHER.decode() not in shown


def test_the_previous_key_is_accepted_until_its_date_and_signs_nothing() -> None:
    clock = Clock()
    old = issue(TokenKeys(OTHER, now=clock))
    tokens = keys(clock, previous=OTHER, previous_until=NOW + timedelta(hours=1))
    assert tokens.verify(old).user_id == "ada"
    assert jwt.get_unverified_header(issue(tokens))["kid"] == key_id(SECRET)
    clock.time = NOW + timedelta(hours=1)
    with pytest.raises(TokenInvalid):
        tokens.verify(old)


def test_the_previous_key_without_a_date_is_accepted() -> None:
    assert keys(previous=OTHER).verify(issue(TokenKeys(OTHER, now=Clock()))).user_id == "ada"


def test_a_key_is_at_least_32_bytes_long() -> None:
    with pytest.raises(SecretError, match="31 bytes; at least 32"):
        TokenKeys(b"k" * 31)
    with pytest.raises(SecretError, match="the previous secret"):
        TokenKeys(SECRET, previous="short")


def test_the_date_of_the_previous_key_needs_a_time_zone() -> None:
    with pytest.raises(SecretError, match="time zone"):
        TokenKeys(SECRET, previous=OTHER, previous_until=NOW.replace(tzinfo=None))


def test_a_secret_is_made_once_with_mode_600_and_read_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "srv" / "data" / "secret"
    secret = load_or_create_secret(path)
    assert len(secret) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_or_create_secret(path) == secret
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]


def test_a_secret_that_is_there_is_read_and_nothing_is_written(tmp_path: Path) -> None:
    secret = load_or_create_secret(tmp_path / "secret")
    os.utime(tmp_path, (1, 1))
    assert load_or_create_secret(tmp_path / "secret") == secret
    assert tmp_path.stat().st_mtime == 1


def test_a_new_secret_and_its_name_are_on_the_disk_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append("directory" if is_directory else "file")

    monkeypatch.setattr(os, "fsync", fsync)
    load_or_create_secret(tmp_path / "secret")
    assert synced == ["file", "directory"]


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="open files cannot be listed here")
def test_neither_a_secret_nor_a_refused_one_stays_open(tmp_path: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    load_or_create_secret(tmp_path / "secret")
    load_or_create_secret(tmp_path / "secret")
    with pytest.raises(SecretError):
        load_or_create_secret(tmp_path)
    assert len(list(Path("/dev/fd").iterdir())) == before


@pytest.mark.parametrize("owner", [0, 1, 1000, 1001])
def test_a_secret_is_ours_or_that_of_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int
) -> None:
    secret = load_or_create_secret(tmp_path / "secret")
    found = list((tmp_path / "secret").stat())
    found[stat.ST_UID] = owner
    monkeypatch.setattr(os, "fstat", lambda _descriptor: os.stat_result(found))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    if owner in (0, 1000):
        assert load_or_create_secret(tmp_path / "secret") == secret
    else:
        with pytest.raises(SecretError, match=f"another user .uid {owner}"):
            load_or_create_secret(tmp_path / "secret")


def test_the_umask_does_not_widen_the_secret(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_or_create_secret(tmp_path / "secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_all_who_start_at_once_get_the_same_secret(tmp_path: Path) -> None:
    found: list[bytes] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        found.append(load_or_create_secret(tmp_path / "secret"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize("mode", [0o601, 0o602, 0o604, 0o610, 0o620, 0o640, 0o644])
def test_a_secret_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    load_or_create_secret(path)
    path.chmod(mode)
    with pytest.raises(SecretError, match=f"{path} .* mode {mode:03o}.*chmod 600"):
        load_or_create_secret(path)


@pytest.mark.parametrize("content", [b"", b"correct horse", b"k" * 31 + b"\n"])
def test_a_short_secret_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(SecretError, match="at least 32") as caught:
        load_or_create_secret(path)
    if content:
        assert content.strip().decode() not in str(caught.value)


def test_what_is_no_regular_file_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe", 0o600)
    load_or_create_secret(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    for name in ("directory", "pipe", "link"):
        with pytest.raises(SecretError):
            load_or_create_secret(tmp_path / name)


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SecretError, match="file/secret"):
        load_or_create_secret(tmp_path / "file" / "secret")


def test_a_token_is_bound_to_one_session() -> None:
    other = uuid4()
    assert keys().verify(issue(keys(), session_id=other)).session_id == other


# --- host keys ------------------------------------------------------------------------------------


def test_a_host_key_is_that_of_one_session_and_one_secret() -> None:
    session, other = uuid4(), uuid4()
    keys = TokenKeys("a" * 32)
    key = keys.host_key(session)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", key)
    assert TokenKeys("a" * 32).is_host_key(session, key)
    assert not keys.is_host_key(other, key)
    assert not TokenKeys("b" * 32).is_host_key(session, key)
    for wrong in ("", key[:-1], key + "=", key.swapcase(), "\ud800", "x" * 10_000):
        assert not keys.is_host_key(session, wrong)


def test_a_host_key_of_the_previous_secret_counts_as_long_as_that_does() -> None:
    session, now = uuid4(), datetime(2026, 3, 1, tzinfo=UTC)
    old = TokenKeys("a" * 32).host_key(session)

    def rotated(**until: datetime) -> TokenKeys:
        return TokenKeys("b" * 32, previous="a" * 32, now=lambda: now, **until)

    later, earlier = now + timedelta(seconds=1), now - timedelta(seconds=1)
    assert rotated().is_host_key(session, old)
    assert rotated(previous_until=later).is_host_key(session, old)
    assert not rotated(previous_until=now).is_host_key(session, old)
    assert not rotated(previous_until=earlier).is_host_key(session, old)
    assert rotated().is_host_key(session, rotated().host_key(session))
    assert rotated().host_key(session) != old
