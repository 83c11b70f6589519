"""Names of simulated participants, and colours that are distinct on a map. Pure."""

from typing import Final, NamedTuple


class Person(NamedTuple):
    name: str
    color: str


PEOPLE: Final = (
    Person("Maya", "#E4572E"),
    Person("Jonas", "#2E86AB"),
    Person("Aïcha", "#3A7D44"),
    Person("Luca", "#F2A541"),
    Person("Ines", "#8E44AD"),
    Person("Kenji", "#D6336C"),
    Person("Zofia", "#0B7285"),
    Person("Ravi", "#5C4033"),
    Person("Elif", "#C92A2A"),
    Person("Noah", "#1864AB"),
    Person("Sofía", "#2B8A3E"),
    Person("Owen", "#E67700"),
)


def person(number: int) -> Person:
    """Person ``number`` (from 0). Beyond the list, names repeat with a number."""
    again, index = divmod(number, len(PEOPLE))
    known = PEOPLE[index]
    return known if not again else Person(f"{known.name} {again + 1}", known.color)
