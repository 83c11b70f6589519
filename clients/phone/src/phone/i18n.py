"""Words in the language of the device. A catalogue is a file of ``words``; English has the keys.

Where the web client says the same, it says it in the same words (web/src/i18n).
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Final

from phone.words import de, en

Text = str | Mapping[str, str]
"""Forms by number are ``one`` and ``other``, chosen by ``n``."""
CATALOGUES: Final[Mapping[str, Mapping[str, Text]]] = {"en": en.TEXTS, "de": de.TEXTS}
NAMES: Final = {"en": en.NAME, "de": de.NAME}
DEFAULT: Final = "en"


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
        if age_s < 5:
            return self("ago.now")
        if age_s < 60:
            return self("ago.seconds", n=int(age_s) // 5 * 5)
        if age_s < 3600:
            return self("ago.minutes", n=int(age_s // 60))
        if age_s < 86_400:
            return self("ago.hours", n=int(age_s // 3600))
        return self("ago.days", n=int(age_s // 86_400))

    def left(self, seconds: float) -> str:
        """How much time is left, in hours and minutes."""
        minutes = max(int(seconds // 60), 0)
        if minutes < 60:
            return self("left.minutes", n=minutes)
        return self("left.hours", h=minutes // 60, m=minutes % 60)

    def distance(self, metres: float) -> str:
        """In metres up to a kilometre, then in kilometres."""
        if metres < 10:
            return self("distance.here")
        if metres < 995:
            return self("unit.m", n=round(metres / 10) * 10)
        kilometres = metres / 1000
        text = f"{kilometres:.1f}" if kilometres < 10 else f"{kilometres:.0f}"
        return self("unit.km", n=text.replace(".", self("number.point")))

    def clock(self, at: float) -> str:
        """The time of day, in the device's zone."""
        return datetime.fromtimestamp(at).astimezone().strftime("%H:%M")


@cache
def words_in(language: str) -> Words:
    """The catalogue for a language or locale such as ``de_AT``; English for one that is missing."""
    code = language.replace("_", "-").partition("-")[0].lower()
    return Words(code if code in CATALOGUES else DEFAULT)


def isolated(name: str) -> str:
    """``name`` within a sentence: what runs from right to left in it turns nothing else round."""
    return f"\u2068{name}\u2069"
