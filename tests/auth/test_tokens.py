"""Tokens: what is accepted, for how long, and that nothing else is."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locshare.auth.signing_keys import key_id
from locshare.auth.tokens import (
    MAX_TOKEN_CHARS,
    TokenExpired,
    TokenInvalid,
    TokenKeys,
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


# --- host keys ------------------------------------------------------------------------------------
