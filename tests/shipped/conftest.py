"""What is tested of the single file, once it is built: `make test-binary` names the file and a root
that debootstrap has made. Without them nothing here is collected.
"""

import os

collect_ignore_glob = [] if {"BINARY", "BARE_ROOT"} <= os.environ.keys() else ["test_*.py"]
