"""The load generator in C and its reference broadcaster, built on the spot (README.md there)."""

import shutil
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from bench.errors import NotServing

_HERE: Final = Path(__file__).parent
_COMPILERS: Final = ("cc", "gcc", "clang")
_FLAGS: Final = ("-O2", "-g", "-std=c11")


class Programs(NamedTuple):
    """``generator`` makes the load, ``broadcaster`` is the cheapest server of the same shape."""

    generator: Path
    broadcaster: Path


def build(folder: Path) -> Programs:
    """Compile both into ``folder``: three seconds. Raises NotServing."""
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise NotServing(f"no C compiler ({', '.join(_COMPILERS)}): apt install gcc libc6-dev")
    built = Programs(folder / "wsload", folder / "wsecho")
    for program in built:
        source = _HERE / f"{program.name}.c"
        done = subprocess.run(
            [compiler, *_FLAGS, "-o", str(program), str(source), "-lm"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NotServing(f"{source.name} does not compile:\n{done.stderr[-2000:]}")
    return built
