"""What is tested of what is installed, once it is built. Each module needs something that only its
make target makes, and names in the environment; without that it is not collected.
"""

import os
from typing import Final

_NEEDS: Final = {
    "test_bare_root.py": {"BINARY", "BARE_ROOT"},
    "test_systemd.py": {"SYSTEMD_ROOT"},
    "test_compose.py": {"COMPOSE_ROOT"},
    "test_kustomize.py": {"KUSTOMIZED"},
}

collect_ignore = [name for name, needed in _NEEDS.items() if not needed <= os.environ.keys()]
