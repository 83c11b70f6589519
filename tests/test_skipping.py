"""A test is skipped only where the machine cannot have what it needs."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.skipping import KERNEL, judge

ROOT = Path(__file__).resolve().parent.parent


def judged(reason: str, monkeypatch: pytest.MonkeyPatch, **machine: Any) -> pytest.TestReport:
    class Config:
        @staticmethod
        def getoption(name: str) -> bool:
            assert name == "--allow-skips"
            return bool(machine.get("allowed", False))

    if machine.get("ci"):
        monkeypatch.setenv("CI", "true")
    else:
        monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0 if machine.get("root", True) else 1000)
    apt = "/usr/bin/apt-get" if machine.get("apt", True) else None
    monkeypatch.setattr("shutil.which", lambda name: apt)
    longrepr = ("test_x.py", 1, f"Skipped: {reason}")
    report = pytest.TestReport("test_x.py::test", ("", 1, ""), {}, "skipped", longrepr, "call")
    judge(report, Config())  # type: ignore[arg-type]
    return report


@pytest.mark.parametrize("machine", [{}, {"root": False, "ci": True}, {"apt": False, "ci": True}])
def test_where_the_machine_can_have_everything_a_skip_is_a_failure(
    machine: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = judged("there is no nft", monkeypatch, **machine)
    assert report.failed
    assert "there is no nft" in str(report.longrepr)
    assert "ensure_packages.sh" in str(report.longrepr)


@pytest.mark.parametrize(
    ("reason", "machine"),
    [
        ("there is no nft", {"root": False}),
        ("there is no nft", {"apt": False}),
        ("there is no nft", {"allowed": True}),
        (f"{KERNEL} has no IPv6", {}),
    ],
)
def test_what_cannot_be_had_may_be_skipped(
    reason: str, machine: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judged(reason, monkeypatch, **machine).skipped


def ensure_packages(folder: Path, user: int, *there: str) -> tuple[list[str], str]:
    """What the script asks apt-get to install where only the programs ``there`` are, and says."""
    asked = folder / "asked"
    for name, text in {
        "uname": "echo Linux",
        "rm": 'exec /bin/rm "$@"',
        "chmod": 'exec /bin/chmod "$@"',
        "id": f"echo {user}",
        "apt-get": f'echo "$@" >>{asked}',
        **dict.fromkeys(there, ":"),
    }.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", ROOT / "tools/ensure_packages.sh"],
        env={"PATH": str(folder), "SYSTEM_PATH": "", "NO_SERVICES": str(folder / "policy")},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = asked.read_text().splitlines() if asked.exists() else []
    installed = [line.split() for line in lines if line.startswith("install")]
    return sorted(installed[0][4:]) if installed else [], done.stderr


ALL = ("chromium", "redis-server", "openssl", "pgbouncer", "nginx", "ip", "nft")


def test_the_test_command_installs_what_makes_packets_get_lost(tmp_path: Path) -> None:
    assert "nftables" in ensure_packages(tmp_path, 0, *ALL[:-1])[0]
    assert not (tmp_path / "policy").exists()


def test_as_root_every_package_that_is_missing_is_installed(tmp_path: Path) -> None:
    installed, _ = ensure_packages(tmp_path, 0)
    wanted = {"chromium", "iproute2", "nftables", "nginx-light", "openssl", "pgbouncer"}
    assert wanted | {"redis-server"} <= set(installed)


def test_without_root_nothing_is_installed_and_it_says_what_to_do(tmp_path: Path) -> None:
    installed, said = ensure_packages(tmp_path, 1000, *ALL[:-1])
    assert installed == []
    assert "sudo apt-get install" in said
    assert "nftables" in said
    assert "packet loss" in said
