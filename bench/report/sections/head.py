"""The circumstances of the measurement, and facts about the targets."""

from bench.report import fmt
from bench.report.blocks import (
    Block,
    Cell,
    Code,
    Column,
    Facts,
    Paragraph,
    Row,
    Section,
    Table,
    row,
)
from bench.results import Results, TargetDescription

_STATED = (
    "Stated or counted, not measured. Dependencies are all packages that an installation brings."
)


def circumstances(results: Results) -> tuple[Block, ...]:
    """The machine and the command, for the top of the page."""
    machine = results.machine
    facts = Facts(
        (
            ("Processor", machine.processor),
            ("Cores", fmt.count(machine.cores)),
            ("Memory", fmt.gibibytes(machine.memory_bytes)),
            ("System", machine.system),
            ("Python", machine.python),
            ("Began (UTC)", machine.began),
        )
    )
    return facts, Code(machine.command)


def targets(results: Results) -> Section:
    """Facts about each target."""
    table = Table(
        (
            Column("name"),
            Column("what it is"),
            Column("dialect"),
            Column("language"),
            Column("lines of code", numeric=True),
            Column("dependencies", numeric=True),
            Column("services beside it"),
            Column("processes", numeric=True),
            Column("made to survive"),
        ),
        tuple(_target(place, each) for place, each in enumerate(results.targets)),
    )
    return Section("targets", "Targets", (Paragraph(_STATED), table))


def _target(place: int, target: TargetDescription) -> Row:
    named = (Cell(target.name, swatch=place), target.title, target.dialect)
    facts = target.facts
    if facts is None:
        return row(*named, *[Cell("not stated", "missing")] * 6)
    survives = ", ".join(fmt.DISRUPTIONS.get(each, each) for each in facts.survives)
    return row(
        *named,
        facts.language,
        fmt.count(facts.lines_of_code),
        fmt.count(facts.dependencies),
        ", ".join(facts.services) or "none",
        fmt.count(facts.processes),
        survives or "nothing stated",
    )
