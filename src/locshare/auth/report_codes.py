"""Report codes: twelve characters that stand for a participant's token where a person has to type
it, and that can do nothing but report positions. Pure.

A code is 60 bits in Crockford's base 32, as ``K7Q2-9XW4-B3HN``. The first half is the beginning of
the id of the participant's row, which is random and shown to nobody; it finds the row by the
primary key. The second half is a MAC of that id with the server's secret. So

- nothing is stored for a code, and a join writes no more than before;
- a code survives a restart, and ends with the row: when its participant leaves or is removed, and
  with the session;
- who can read the database cannot make a code: the secret is not in it. Who can read it and guesses
  online has to find 30 bits, everyone else 60, against the limits of guesses
  (:mod:`locshare.api.report_codes`). With 100,000 participants and 20 guesses a second, 2^60 /
  (100,000 * 20) seconds pass on average until one is hit: 18,000 years.

A stored random code, or its digest, would take a column, an index, and a write for each join.
"""

import hmac
from typing import Final, NamedTuple
from uuid import UUID

from locshare.auth.signing_keys import SigningKeys

CHARS: Final = 12
_HALF_BITS: Final = 30
_HALF: Final = (1 << _HALF_BITS) - 1
_REST_BITS: Final = 128 - _HALF_BITS
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES: Final = {
    **{character: value for value, character in enumerate(_ALPHABET)},
    "O": 0,
    "I": 1,
    "L": 1,
}
"""With the letters that people read for a digit."""


class ReportCode(NamedTuple):
    """A code as it was typed. The participant's id is from ``first`` to ``last``."""

    first: UUID
    last: UUID
    mac: int


def report_code(keys: SigningKeys, participant_id: UUID) -> str:
    """The code of a participant, in groups of four."""
    bits = (participant_id.int >> _REST_BITS) << _HALF_BITS | _mac(keys.current, participant_id)
    text = "".join(_ALPHABET[bits >> shift & 31] for shift in range(55, -1, -5))
    return f"{text[:4]}-{text[4:8]}-{text[8:]}"


def parse(text: str) -> ReportCode | None:
    """``text`` as a code, in whatever case and grouping; None if it cannot be one, as a token."""
    if len(text) > 2 * CHARS:
        return None
    typed = text.upper().replace("-", "").replace(" ", "")
    if len(typed) != CHARS or not all(character in _VALUES for character in typed):
        return None
    bits = 0
    for character in typed:
        bits = bits << 5 | _VALUES[character]
    prefix = bits >> _HALF_BITS
    first = prefix << _REST_BITS
    return ReportCode(UUID(int=first), UUID(int=first | (1 << _REST_BITS) - 1), bits & _HALF)


def is_code_of(keys: SigningKeys, code: ReportCode, participant_id: UUID) -> bool:
    """Whether ``code`` is that of this participant, by an accepted secret. Constant time."""
    given = code.mac.to_bytes(4)
    found = False
    for key in keys.accepted():
        found |= hmac.compare_digest(given, _mac(key, participant_id).to_bytes(4))
    return found


def _mac(key: bytes, participant_id: UUID) -> int:
    """30 bits of a MAC used for nothing else."""
    digest = hmac.digest(key, b"locshare report code\0" + participant_id.bytes, "sha256")
    return int.from_bytes(digest[:4]) & _HALF
