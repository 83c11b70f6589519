"""Compiles ``_native.c`` with the C compiler of this machine. Imports nothing but the standard
library: the build hook runs this file before anything is installed, and so does `make`.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("_native.c")
_PATIENCE_S: Final = 120.0


def built_file(folder: Path = SOURCE.parent) -> Path:
    """The compiled module for this Python, in ``folder``."""
    return folder / f"_native{sysconfig.get_config_var('EXT_SUFFIX') or '.so'}"


def build(folder: Path = SOURCE.parent, flags: tuple[str, ...] = ("-O2",)) -> str | None:
    """Compile into ``folder``, unless that is done. Returns None, or one sentence on why it could
    not be done: whoever asks then goes on without. A file that is there is replaced in one step.
    """
    target = built_file(folder)
    if platform.python_implementation() != "CPython":
        return f"{platform.python_implementation()} does not load modules made for CPython."
    if target.exists() and target.stat().st_mtime > SOURCE.stat().st_mtime:
        return None
    linker = shlex.split(sysconfig.get_config_var("LDSHARED") or "cc -shared")
    if shutil.which(linker[0]) is None:
        return f"There is no C compiler ({linker[0]})."
    made = target.with_name(f".{os.getpid()}.{target.name}")
    command = [
        *linker, *flags, "-fPIC", "-std=gnu11", f"-I{sysconfig.get_path('include')}",
        str(SOURCE), "-o", str(made),
    ]  # fmt: skip
    try:
        subprocess.run(  # noqa: S603 - the compiler that built this Python
            command, check=True, capture_output=True, text=True, timeout=_PATIENCE_S
        )
        made.replace(target)
    except subprocess.CalledProcessError as error:
        problem = next((line for line in error.stderr.splitlines() if "error" in line), "")
        return f"{linker[0]} failed: {problem.strip() or error.returncode}."
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{linker[0]} failed: {error}."
    finally:
        made.unlink(missing_ok=True)
    return None


def main() -> int:
    """Build in place. Without a compiler this is a sentence and not a failure."""
    problem = build()
    if problem is not None:
        sys.stderr.write(f"Positions are sent by Python code: {problem}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
