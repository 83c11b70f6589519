"""``python -m locshare`` is ``locshare``."""

import sys

from locshare.cli import main

if __name__ == "__main__":
    sys.exit(main())
