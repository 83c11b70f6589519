"""``locshare gentoken``: secrets, tokens, and what a token says.

A token is a key to a session: this prints it and stores it nowhere. It is signed with the secret of
the settings, or with the one that a server made under data_dir. No secret is made for it, since a
token of a new secret opens nothing.
"""

import json
import re
import secrets
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from locshare.auth.secret_file import SecretError, load_or_create_secret
from locshare.auth.tokens import (
    Claims,
    TokenExpired,
    TokenInvalid,
    TokenKeys,
)
from locshare.cli import EXIT_FAILURE, EXIT_OK, complain, read_standard_input, say
from locshare.cli.flags import add_config_flag, load_settings
from locshare.config import Settings

DESCRIPTION = """\
Make a token for a session, signed with the configured secret; read one; or make a new secret. The
server finds the session and the participant in its database: a token for others is refused."""
EXAMPLES = """\
  locshare gentoken --session 6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11 --user 1f6a… --expires 2h
  locshare gentoken --show-claims < token.txt
  LOCSHARE_JWT_SECRET=$(locshare gentoken --secret-new) locshare serve
"""

LONGEST: Final = timedelta(hours=24)
"""The longest life of a session, and so of a token."""
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours"}


def add_arguments(parser: ArgumentParser) -> None:
    """One of three things to do, and what a new token says."""
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--session", type=_uuid, metavar="UUID", help="make a token for it")
    action.add_argument(
        "--show-claims", action="store_true",
        help="read a token from standard input, check it, print what it says",
    )  # fmt: skip
    action.add_argument(
        "--show-receipt", action="store_true",
        help="read a receipt of deletion from standard input, check it, print what it says",
    )  # fmt: skip
    action.add_argument("--secret-new", action="store_true", help="print a new random secret")
    token = parser.add_argument_group("what a new token says")
    token.add_argument(
        "--user", metavar="ID", help="the user_id of the participant (default: none that exists)"
    )
    token.add_argument("--role", choices=("participant", "host"), default="participant")
    token.add_argument(
        "--expires", type=_expiry, default=timedelta(hours=1), metavar="TIME",
        help="from now, such as 90s, 30m or 2h, at most 24h, or a time such as "
        "2026-05-01T12:00:00Z (default 1h)",
    )  # fmt: skip
    add_config_flag(parser)


def run(arguments: Namespace) -> int:
    """Print a secret, a token or its claims. Raises SettingsError."""
    if arguments.secret_new:
        say(secrets.token_urlsafe(48))
        return EXIT_OK
    try:
        keys = _keys(load_settings(arguments).settings)
    except SecretError as error:
        complain(str(error))
        return EXIT_FAILURE
    if arguments.show_claims:
        return _show_claims(keys, read_standard_input("paste the token"))
    if arguments.show_receipt:
        return _show_receipt(keys, read_standard_input("paste the receipt"))
    expires = arguments.expires
    say(
        keys.issue(
            session_id=arguments.session,
            user_id=arguments.user or secrets.token_hex(8),
            role=arguments.role,
            expires_at=datetime.now(UTC) + expires if isinstance(expires, timedelta) else expires,
        )
    )
    return EXIT_OK


def _keys(settings: Settings) -> TokenKeys:
    secret: str | bytes
    if settings.jwt_secret is not None:
        secret = settings.jwt_secret
    elif settings.secret_file.exists():
        secret = load_or_create_secret(settings.secret_file)
    else:
        raise SecretError(
            f"there is no secret: LOCSHARE_JWT_SECRET is not set, and no server has made "
            f"{settings.secret_file} (is LOCSHARE_DATA_DIR the server's?)"
        )
    return TokenKeys(
        secret, previous=settings.jwt_previous_secret, previous_until=settings.jwt_previous_until
    )


def _show_receipt(keys: TokenKeys, receipt: str) -> int:
    try:
        facts = keys.read_receipt(receipt)
    except TokenInvalid:
        complain(
            "this is no receipt that was signed with the configured secret: give it whole, and the"
            " secret of the time (LOCSHARE_JWT_SECRET)"
        )
        return EXIT_FAILURE
    say(json.dumps(facts, indent=2))
    return EXIT_OK


def _show_claims(keys: TokenKeys, token: str) -> int:
    try:
        claims = keys.verify(token)
    except TokenExpired:
        complain("the token is of this server, and has expired")
        return EXIT_FAILURE
    except TokenInvalid:
        complain(
            "not a token that this server accepts: another secret signed it, or nobody did. Give it"
            " whole, and the server's settings (LOCSHARE_JWT_SECRET or LOCSHARE_DATA_DIR)"
        )
        return EXIT_FAILURE
    say(json.dumps(_claims(claims), indent=2))
    return EXIT_OK


def _claims(claims: Claims) -> dict[str, str]:
    return {
        "session": str(claims.session_id),
        "user": claims.user_id,
        "role": claims.role,
        "expires": claims.expires_at.isoformat(),
        "token_id": claims.token_id,
    }


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a UUID") from None


def _expiry(text: str) -> timedelta | datetime:
    match = re.fullmatch(r"([0-9]{1,6})([smh])", text)
    if match:
        span = timedelta(**{_UNITS[match[2]]: int(match[1])})
        if timedelta(0) < span <= LONGEST:
            return span
        raise ArgumentTypeError(f"{text!r} is not within 24h")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(
            f"{text!r} is neither like 90s, 30m or 2h nor like 2026-05-01T12:00:00Z"
        ) from None
    if at.tzinfo is None:
        raise ArgumentTypeError(f"{text!r} has no time zone; add Z for UTC")
    return at
