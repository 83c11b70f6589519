"""All charts, by what they show."""

from collections.abc import Sequence

from bench.loads import CAPACITY
from bench.report.blocks import Block, Gallery, Heading, Paragraph, Picture, Section
from bench.report.charts.distribution import distribution
from bench.report.charts.load import latency, processor
from bench.report.charts.recovery import recovery_times, time_line
from bench.report.charts.time import over_the_run
from bench.report.criteria import FAULTS
from bench.report.forms import LADDER
from bench.report.runs import Group
from bench.results import Results


def charts(results: Results, together: Sequence[Group]) -> Section:
    """What there is to draw."""
    targets = results.targets
    blocks = [
        *_part(
            "Latency and CPU against load",
            "The steps of the ladder, one run each.",
            [latency(results), processor(results)],
        ),
        *_part(
            "Latency distributions",
            "The share of deliveries that took at most this long: further left is faster, "
            "steeper is steadier.",
            [distribution(group, targets) for group in together if group.scenario != CAPACITY],
        ),
        *_part(
            "Recovery",
            "The disruptions, and their effect on the people. Recovery lasts until all were "
            "connected again and received each other's positions.",
            _recovery(results, together),
        ),
        *_part(
            "Over time",
            "Each scenario second by second, all processes of a target together.",
            [
                over_the_run(group, targets)
                for group in together
                if group.scenario not in (LADDER, CAPACITY)
            ],
        ),
    ]
    return Section("charts", "Charts", tuple(blocks) or (Paragraph("There is nothing to draw."),))


def _recovery(results: Results, together: Sequence[Group]) -> list[Picture | None]:
    return [
        picture
        for group in together
        if group.scenario == FAULTS
        for picture in (
            recovery_times(group, results.targets),
            *(
                time_line(place, target, number, run)
                for place, target in enumerate(results.targets)
                for number, run in enumerate(group.of(target.name), 1)
            ),
        )
    ]


def _part(title: str, text: str, pictures: Sequence[Picture | None]) -> list[Block]:
    there = tuple(each for each in pictures if each is not None)
    return [Heading(title), Paragraph(text), Gallery(there)] if there else []
