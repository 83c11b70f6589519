"""What holds of the mutation tests without running them."""

from tools.mutants.equivalents import accepted
from tools.mutants.rooms import ROOMS, ROOT


def test_every_room_has_sources_and_tests() -> None:
    for room in ROOMS.values():
        assert room.files(), room.name
        assert room.test_files(), room.name


def test_an_accepted_equivalent_is_about_lines_that_are_there() -> None:
    """`make mutants` also finds those whose mutation is gone."""
    for (file, before, _), reason in accepted().items():
        lines = [line.strip() for line in (ROOT / file).read_text().splitlines()]
        assert before.splitlines()[0] in lines, f"{file}: {before} ({reason})"
