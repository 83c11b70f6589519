"""The features of a session together: finds the feature of a command, asks each of them in turn.

Pure. Nothing here changes a table: outcomes are returned, and the rules apply them.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple, final

from locshare.model.errors import LocshareError
from locshare.session.features.feature import (
    Candidate,
    Core,
    Feature,
    FeatureCommand,
    FeatureFull,
    Outcome,
    Parts,
)
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.table import SessionTable
from locshare.store.port import SessionRecord


class Decision(NamedTuple):
    """An outcome and the name of the part that it replaces."""

    name: str
    outcome: Outcome[Any]


def decide_each(
    features: Iterable[Feature[Any]],
    table: SessionTable,
    decide: Callable[[Feature[Any], Any], Outcome[Any]],
) -> list[Decision]:
    """``decide(feature, part)`` of each feature."""
    return [Decision(each.name, decide(each, table.parts[each.name])) for each in features]


@final
class FeatureSet:
    """Raises ValueError when two features share a name or a command."""

    def __init__(self, *features: Feature[Any]) -> None:
        self._features = features
        self._by_command: dict[type, Feature[Any]] = {
            command: feature for feature in features for command in feature.commands
        }
        if len({feature.name for feature in features}) < len(features):
            raise ValueError("two features share a name")
        if len(self._by_command) < sum(len(feature.commands) for feature in features):
            raise ValueError("two features share a command")
        # Most features need few of the hooks: the others are not called.
        self.refusing: Final = self._overriding("refusal")
        self.joined: Final = self._overriding("member_joined")
        self.left: Final = self._overriding("member_left")
        self.watching: Final = self._overriding("positions_moved")
        self.timed: Final = self._overriding("due")
        self.showing: Final = self._overriding("snapshot")

    def __iter__(self) -> Iterator[Feature[Any]]:
        return iter(self._features)

    def _overriding(self, hook: str) -> tuple[Feature[Any], ...]:
        default = getattr(Feature, hook)
        return tuple(each for each in self._features if getattr(type(each), hook) is not default)

    # --- their parts ------------------------------------------------------------------------------

    def begin(self, session: SessionRecord, kept: Parts) -> dict[str, Any]:
        """The parts of a session that is read from the store."""
        return {each.name: each.begin(session, kept.get(each.name)) for each in self._features}

    def keep(self, table: SessionTable) -> dict[str, Any]:
        """What is kept of ``table`` while its session sleeps."""
        kept = {each.name: each.keep(table.parts[each.name]) for each in self._features}
        return {name: part for name, part in kept.items() if part is not None}

    def sizes(self, table: SessionTable, limits: SessionLimits) -> dict[str, tuple[int, int]]:
        """The size of each part, and its bound."""
        return {
            each.name: (each.size(table.parts[each.name]), each.max_size(limits))
            for each in self._features
        }

    # --- what they decide -------------------------------------------------------------------------

    def handle(
        self, table: SessionTable, command: FeatureCommand[Any], core: Core, moment: Moment
    ) -> Decision:
        """The decision on ``command``. Raises what its feature refuses with, and FeatureFull;
        KeyError for a command of no feature.
        """
        feature = self._by_command[type(command)]
        outcome = feature.handle(table.parts[feature.name], command, core, moment)
        if feature.size(outcome.part) > feature.max_size(core.limits):
            raise FeatureFull(f"{feature.name}: no more than {feature.max_size(core.limits)}")
        return Decision(feature.name, outcome)

    def refusal(
        self, table: SessionTable, candidate: Candidate, core: Core, clock: float
    ) -> LocshareError | None:
        """The first refusal, in the order of registration; None if ``candidate`` may come in."""
        for each in self.refusing:
            refusal = each.refusal(table.parts[each.name], candidate, core, clock)
            if refusal is not None:
                return refusal
        return None

    def due(self, table: SessionTable) -> float | None:
        """When the first of them has something to do."""
        if not self.timed:
            return None
        due = (each.due(table.parts[each.name]) for each in self.timed)
        return min((at for at in due if at is not None), default=None)

    def snapshot(self, table: SessionTable, user_id: str, core: Core) -> dict[str, Any]:
        """The sections in the snapshot of ``user_id``."""
        sections = {}
        for each in self.showing:
            section = each.snapshot(table.parts[each.name], user_id, core)
            if section is not None:
                sections[each.name] = section
        return sections
