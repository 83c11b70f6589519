"""``python -m bench``: see :mod:`bench.command` and docs/benchmarks.md."""

import sys

from bench.command import main

if __name__ == "__main__":
    sys.exit(main())
