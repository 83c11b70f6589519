"""The limit of memory is the tightest that holds, wherever it is set."""

from pathlib import Path

import pytest

from locshare.telemetry.machine import Space, disk, memory

MIB = 1024 * 1024


def machine(root: Path, groups: str, folders: dict[str, dict[str, str]]) -> Path:
    files = {
        "proc/meminfo": "MemTotal: 1024 kB\nMemFree: 1 kB\nMemAvailable: 768 kB\n",
        "proc/self/cgroup": groups,
    }
    for folder, named in folders.items():
        files |= {f"sys/fs/cgroup/{folder}/{name}": text for name, text in named.items()}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def v2(limit: str, used: int, high: str = "max") -> dict[str, str]:
    return {
        "memory.max": f"{limit}\n",
        "memory.high": f"{high}\n",
        "memory.current": f"{used}\n",
        "memory.stat": "anon 1\ninactive_file 100\n",
    }


def v1(limit: int, used: int) -> dict[str, str]:
    return {
        "memory.limit_in_bytes": f"{limit}\n",
        "memory.usage_in_bytes": f"{used}\n",
        "memory.stat": "cache 1\ntotal_inactive_file 100\n",
    }


def test_without_a_container_the_machine_is_the_limit(tmp_path: Path) -> None:
    assert memory(machine(tmp_path, "0::/\n", {})) == Space(MIB, 256 * 1024)


def test_a_container_is_the_limit_and_page_cache_is_not_used(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/pod/one\n", {"pod/one": v2("400000", 300_100)})
    assert memory(root) == Space(400_000, 300_000)


@pytest.mark.parametrize("limit", ["max", "999999999"])
def test_a_container_with_no_limit_or_a_wider_one_is_not(tmp_path: Path, limit: str) -> None:
    root = machine(tmp_path, "0::/pod\n", {"pod": v2(limit, 300_100)})
    assert memory(root) == Space(MIB, 256 * 1024)


@pytest.mark.parametrize("limit", ["max", "600000"])
def test_a_limit_at_which_all_are_held_up_comes_before_the_one_at_which_one_is_ended(
    tmp_path: Path, limit: str
) -> None:
    """MemoryHigh and MemoryMax of systemd."""
    root = machine(tmp_path, "0::/unit\n", {"unit": v2(limit, 300_100, high="400000")})
    assert memory(root) == Space(400_000, 300_000)


def test_a_limit_of_a_group_around_the_container_counts(tmp_path: Path) -> None:
    root = machine(
        tmp_path, "0::/pod/one\n", {"pod/one": v2("max", 1000), "pod": v2("500000", 400_100)}
    )
    assert memory(root) == Space(500_000, 400_000)


def test_the_older_version_of_cgroups_is_read_too(tmp_path: Path) -> None:
    root = machine(
        tmp_path, "5:cpu:/x\n4:memory:/box\n0::/\n", {"memory/box": v1(400_000, 200_100)}
    )
    assert memory(root) == Space(400_000, 200_000)


def test_a_container_that_sees_only_its_own_group_finds_it_at_the_top(tmp_path: Path) -> None:
    root = machine(tmp_path, "4:memory:/not/seen\n", {"memory": v1(400_000, 200_100)})
    assert memory(root) == Space(400_000, 200_000)


def test_where_the_kernel_does_not_say_there_is_no_figure(tmp_path: Path) -> None:
    assert memory(tmp_path) is None


def test_the_disk_is_that_of_the_folder_or_of_where_it_will_be(tmp_path: Path) -> None:
    found = disk(tmp_path / "not" / "yet")
    assert found is not None
    assert 0 < found.used < found.size
