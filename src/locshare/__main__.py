"""``python -m locshare`` is ``locshare``, and where both begin."""

import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Until main() has its own way to end: an interrupt while modules are loaded is no traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from locshare.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
