"""Coverage is measured while the tests run that a gate can count on (tools/coverage_gates.py).

Python 3.11 calls the tracer at every call and line, of whatever code: a third of a test's CPU time.
The tests in these folders test programs other than the server, or a server in another process,
which is not measured, or run by thousands of examples what the tests of a room run too. What they
happen to run of ``locshare`` does not count as tested.
"""

from typing import Final

import coverage

_UNMEASURED: Final = (
    "bench", "deploy", "documents", "e2e", "faults", "fuzz", "models", "phone", "tools",
)  # fmt: skip
"""Folders below tests/."""


class Measuring:
    """Stops and starts the measurement, where there is one (`--cov`), between two tests.

    Threads that live on from before are not measured again: there are few such moments, since
    tests/grouping.py puts a folder's tests together.
    """

    def __init__(self) -> None:
        self._paused: list[coverage.Coverage] = []

    def before(self, nodeid: str) -> None:
        """Call it before each test, with its id."""
        if is_measured(nodeid):
            while self._paused:
                self._paused.pop().start()
            return
        # In a worker there are two: pytest-cov starts one for its arguments, and one within it.
        while (measurement := coverage.Coverage.current()) is not None:
            measurement.stop()
            self._paused.append(measurement)


def is_measured(nodeid: str) -> bool:
    """Whether the lines that this test runs count as covered."""
    return not nodeid.startswith(tuple(f"tests/{folder}/" for folder in _UNMEASURED))
