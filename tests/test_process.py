"""What is set for the whole process. Each is tried in a process of its own."""

import subprocess
import sys


def run(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_soft_limit_of_files_is_raised_for_the_connections() -> None:
    ended = run(
        "import resource\n"
        "from locshare.process import allow_connections\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))\n"
        "print(allow_connections(1000))\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 1512)\n"
    )
    assert ended.stdout.split() == ["1000", "True"], ended.stderr


def test_fewer_connections_are_allowed_when_the_hard_limit_is_lower() -> None:
    ended = run(
        "import resource\n"
        "from locshare.process import allow_connections\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))\n"
        "print('allowed', allow_connections(20000))\n"
    )
    assert "allowed 512" in ended.stdout, ended.stderr
    assert "fewer_connections_than_wanted" in ended.stdout + ended.stderr


def test_what_exists_at_the_start_is_never_searched_for_garbage_again() -> None:
    ended = run(
        "import gc\n"
        "from locshare.process import calm_garbage_collector\n"
        "calm_garbage_collector()\n"
        "print(gc.get_freeze_count() > 1000, gc.isenabled(), gc.get_threshold()[0])\n"
    )
    assert ended.stdout.split() == ["True", "True", "50000"], ended.stderr
