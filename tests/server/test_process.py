"""What is set for the whole process. Each is tried in a process of its own."""

import subprocess
import sys

import pytest

from tests.running import LAST_RESORT_S


def run(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=LAST_RESORT_S,
        check=False,
    )


def limited_to(soft: str, hard: str, call: str) -> "subprocess.CompletedProcess[str]":
    return run(
        "import resource\n"
        "from locshare.server.process import allow_connections\n"
        "top = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        f"print('allowed', {call})\n"
        "print('files', resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
    )


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "files"),
    [("256", "top", 1000, 1700), ("1700", "top", 1000, 1700), ("512", "710", 10, 710)],
    ids=["raised", "enough", "few"],
)
def test_the_soft_limit_of_files_is_raised_for_the_connections_and_all_else(
    soft: str, hard: str, wanted: int, files: int
) -> None:
    ended = limited_to(soft, hard, f"allow_connections({wanted}, 700)")
    assert ended.stdout.split() == ["allowed", str(wanted), "files", str(files)], ended.stderr


def test_fewer_connections_are_allowed_when_the_hard_limit_is_lower() -> None:
    ended = limited_to("512", "1024", "allow_connections(20000, 700)")
    assert "allowed 324" in ended.stdout, ended.stderr
    said = ended.stdout + ended.stderr
    assert "fewer_connections_than_wanted" in said
    assert "ulimit -n 20700, or LOCSHARE_MAX_CONNECTIONS=324" in said


def test_a_limit_that_leaves_room_for_hardly_any_connection_is_refused_with_the_remedy() -> None:
    ended = limited_to("512", "764", "allow_connections(20000, 700)")
    assert "allowed 64" in ended.stdout, ended.stderr
    ended = limited_to("512", "763", "allow_connections(20000, 700)")
    assert "TooFewFiles" in ended.stderr
    assert "raise it to 20700 (ulimit -n" in ended.stderr


def test_what_exists_at_the_start_is_never_searched_for_garbage_again() -> None:
    ended = run(
        "import gc\n"
        "from locshare.server.process import calm_garbage_collector\n"
        "calm_garbage_collector()\n"
        "print(gc.get_freeze_count() > 1000, gc.isenabled(), gc.get_threshold()[0])\n"
    )
    assert ended.stdout.split() == ["True", "True", "50000"], ended.stderr
