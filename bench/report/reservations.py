"""What makes results as a whole less certain, beside what each criterion says of itself. Pure."""

from collections.abc import Iterator

from bench.procfs import DISTURBED, TOO_BUSY
from bench.report.criteria import undisturbed, where
from bench.report.fmt import plural
from bench.results import Results, Run

_LONGEST = 200
"""Characters of what a server printed before it ended."""


def reservations(results: Results) -> list[str]:
    """One line each."""
    return [*unmeasured(results), *changed(results), *_disturbed(results)]


def unmeasured(results: Results) -> Iterator[str]:
    """What was tried, and could not be measured."""
    for each in results.failures:
        why = " ".join(each.why.split())
        why = why if len(why) <= _LONGEST else f"{why[:_LONGEST]}…"
        yield f"{each.scenario} against {each.target} could not be measured: {why}"


def changed(results: Results) -> Iterator[str]:
    """Whose runs are of different programs: a long run may go on after a change of the code."""
    for target in results.targets:
        codes: dict[str, dict[str, None]] = {}
        for run in results.runs:
            if run.target == target.name and run.code:
                codes.setdefault(run.code, {})[where(run)] = None
        if len(codes) > 1:
            named = "; ".join(f"{code}: {', '.join(runs)}" for code, runs in codes.items())
            yield (
                f"{target.name} was measured in {plural(len(codes), 'state')} of the code ({named})"
            )


def _disturbed(results: Results) -> Iterator[str]:
    """Of the runs that latency and loss are judged by."""
    runs = [
        f"{run.target}, {where(run)}" for run in undisturbed(results.runs) if _was_disturbed(run)
    ]
    if runs:
        yield f"the generator or other programs disturbed: {'; '.join(runs)}"


def _was_disturbed(run: Run) -> bool:
    usage = run.usage
    return usage is not None and (
        usage.generator_share > TOO_BUSY or (usage.others_share or 0) > DISTURBED
    )
