"""``python -m tests.monitoring``: the full alert drill."""

import sys

from bench.guardian import stand_guard
from tests.monitoring.drill import main

if __name__ == "__main__":
    stand_guard()
    sys.exit(main())
