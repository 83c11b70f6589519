"""Several results files as one. Pure."""

from collections.abc import Sequence

from msgspec.structs import replace

from bench.results import BadResults, Results


def merged(found: Sequence[Results]) -> Results:
    """All runs, in order, under the first one's machine. Raises BadResults when the machines are
    not alike, since runs on different ones do not compare, or one name stands for two servers.
    """
    first, *others = found
    targets = {each.name: each for each in first.targets}
    for each in others:
        mine, theirs = first.machine, each.machine
        if (mine.processor, mine.cores) != (theirs.processor, theirs.cores):
            raise BadResults(
                f"the runs are of different machines: {mine.processor}, {mine.cores} cores, and "
                f"{theirs.processor}, {theirs.cores} cores; make a report of each"
            )
        for target in each.targets:
            if targets.setdefault(target.name, target) != target:
                raise BadResults(
                    f"target {target.name!r} is described differently in two files; measure one of "
                    "them under another name"
                )
    runs = tuple(run for each in found for run in each.runs)
    return replace(first, targets=tuple(targets.values()), runs=runs)
