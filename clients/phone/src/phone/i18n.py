"""Words in the language of the device. A catalogue is a file of ``words``; English has the keys.

Where the web client says the same, it says it in the same words (web/src/i18n).
"""

import math
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Final, Literal

from phone.words import de, en

Units = Literal["metric", "imperial"]

Text = str | Mapping[str, str]
"""Forms by number are ``one`` and ``other``, chosen by ``n``."""
CATALOGUES: Final[Mapping[str, Mapping[str, Text]]] = {"en": en.TEXTS, "de": de.TEXTS}
NAMES: Final = {"en": en.NAME, "de": de.NAME}
DEFAULT: Final = "en"
_FOOT_M: Final = 0.3048
_MILE_M: Final = 1609.344
_BY_MILES: Final = frozenset({"GB", "LR", "MM", "US"})


class Words:
    """The texts of one language. A key that is missing is shown itself."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = CATALOGUES[language]

    def __call__(self, key: str, **values: object) -> str:
        """The text of ``key`` with ``values`` put in."""
        text = self._texts.get(key, key)
        if not isinstance(text, str):
            text = text["one" if values.get("n") == 1 else "other"]
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    def ago(self, age_s: float) -> str:
        """How long ago something was."""
        seconds = _whole(age_s)
        if seconds < 5:
            return self("ago.now")
        if seconds < 60:
            return self("ago.seconds", n=seconds // 5 * 5)
        minutes = _whole(seconds / 60)
        if minutes < 60:
            return self("ago.minutes", n=minutes)
        hours = _whole(minutes / 60)
        if hours < 48:
            return self("ago.hours", n=hours)
        return self("ago.days", n=_whole(hours / 24))

    def left(self, seconds: float) -> str:
        """How much time is left: coarse while there is much of it."""
        minutes, rest = divmod(max(math.ceil(seconds), 0), 60)
        if minutes >= 60:
            return self("left.hours", h=minutes // 60, m=f"{minutes % 60:02}")
        if minutes >= 10:
            return self("left.minutes", n=minutes)
        return f"{minutes}:{rest:02}"

    def as_name(self, name: str) -> str:
        """The name of somebody else. One that reads as if it were the reader's own stands in
        quotation marks.
        """
        read = name.lower()
        is_mine = read == self("map.you").lower() or read.endswith(self("people.me"))
        return self("name.quoted", name=name) if is_mine else name

    def distance(self, metres: float, units: Units = "metric") -> str:
        """In metres up to a kilometre, then in kilometres; or in feet up to a thousand, then in
        miles.
        """
        if metres < 10:
            return self("distance.here")
        if units == "imperial":
            feet = metres / _FOOT_M
            if feet < 1000:
                return self("unit.ft", n=_tens(feet))
            return self("unit.mi", n=self._large(metres / _MILE_M))
        if metres < 995:
            return self("unit.m", n=int(metres + 0.5) if metres < 100 else _tens(metres))
        return self("unit.km", n=self._large(metres / 1000))

    def speed(self, mps: float, units: Units) -> str:
        """In kilometres or miles per hour."""
        if units == "imperial":
            return self("unit.mph", n=int(mps * 3600 / _MILE_M + 0.5))
        return self("unit.kmh", n=int(mps * 3.6 + 0.5))

    def compass(self, degrees: float) -> str:
        """The point of the compass nearest to a bearing."""
        return self(f"compass.{int(degrees / 45 + 0.5) % 8}")

    def _large(self, value: float) -> str:
        if value < 9.95:
            return f"{value:.1f}".replace(".", self("number.point"))
        return f"{value:,.0f}".replace(",", self("number.thousands"))

    def clock(self, at: float) -> str:
        """The time of day, in the device's zone."""
        return datetime.fromtimestamp(at).astimezone().strftime("%H:%M")


def units_of(locale: str) -> Units:
    """The units of the region of a locale such as ``en-US``: three countries go by miles, and
    Britain's roads do.
    """
    regions = {part.upper() for part in locale.replace("_", "-").split("-")[1:]}
    return "imperial" if regions & _BY_MILES else "metric"


@cache
def words_in(language: str) -> Words:
    """The catalogue for a language or locale such as ``de_AT``; English for one that is missing."""
    code = language.replace("_", "-").partition("-")[0].lower()
    return Words(code if code in CATALOGUES else DEFAULT)


def _whole(value: float) -> int:
    return math.floor(value + 0.5)


def _tens(value: float) -> int:
    return int(value / 10 + 0.5) * 10


def isolated(name: str) -> str:
    """``name`` within a sentence: what runs from right to left in it turns nothing else round."""
    return f"\u2068{name}\u2069"
