"""What the doctor makes of facts: each judgement is a table, without a machine."""

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from locshare.cli.doctor import line, summary
from locshare.config import Settings
from locshare.maintenance.doctor import findings
from locshare.maintenance.doctor.database import DatabaseFacts, is_local, judge_database
from locshare.maintenance.doctor.machine import (
    LOW_MEMORY,
    MIB,
    DiskFacts,
    available_memory,
    judge_clock,
    judge_disk,
    judge_files,
    judge_memory,
    judge_sending,
    limit_of_files,
    look_at_clock,
    look_at_disk,
    look_at_key,
)
from locshare.maintenance.doctor.page import judge_tiles
from locshare.maintenance.doctor.ports import PortFacts, State, judge_exposure, judge_port
from locshare.maintenance.doctor.proxy import (
    FORGED,
    judge_forwarding,
    judge_idle,
    judge_socket,
    judge_upgrade,
)
from locshare.maintenance.doctor.reach import Tls, judge_answer, judge_public_url, judge_tls
from locshare.net.client_address import ForwardedHeader
from locshare.net.observer import ObservedRequest


def test_the_worst_finding_counts_and_each_is_in_the_report() -> None:
    some = (findings.ok("a", "x"), findings.warning("b", "y", "z"), findings.skipped("c", "w"))
    report = findings.report_of(some)
    assert (report.worst, report.errors, report.warnings) == ("warning", 0, 1)
    assert report.findings == some
    assert findings.report_of(()).worst == "ok"
    assert findings.report_of((*some, findings.error("d", "v", "u"))).worst == "error"


@pytest.mark.parametrize(
    ("sentence", "text", "do"),
    [
        ("nothing listens at db: start the server", "nothing listens at db", "Start the server"),
        ("it is full. Make room on the disk", "it is full", "Make room on the disk"),
        ("something is wrong", "something is wrong", ""),
        ("a:b", "a:b", ""),
    ],
)
def test_a_sentence_of_the_program_becomes_what_is_wrong_and_what_to_do(
    sentence: str, text: str, do: str
) -> None:
    assert findings.split_advice("x", sentence) == findings.error("x", text, do)


@pytest.mark.parametrize(
    ("hard", "level"), [(None, "ok"), (30_000, "ok"), (10_000, "warning"), (1000, "error")]
)
def test_open_files_are_enough_or_cost_connections_or_are_too_few(
    hard: int | None, level: str
) -> None:
    finding = judge_files(hard, connections=20_000, others=2000)
    assert finding.level == level
    assert bool(finding.do) == (level != "ok")
    assert "in this shell" in finding.text
    running = judge_files(hard, connections=20_000, others=2000, running=True)
    assert "to the running server" in running.text


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        ("Max open files            1024                 524288               files", 524_288),
        ("Max open files            1024                 unlimited            files",
         resource.RLIM_INFINITY),
        ("Max processes             1024                 2048                 processes", None),
    ],
)  # fmt: skip
def test_the_limit_of_another_process_is_that_of_proc(
    tmp_path: Path, line: str, limit: int | None
) -> None:
    (tmp_path / "proc" / "4711").mkdir(parents=True)
    (tmp_path / "proc" / "4711" / "limits").write_text(f"Limit  Soft Limit  Hard Limit\n{line}\n")
    assert limit_of_files(4711, tmp_path) == limit
    assert limit_of_files(4712, tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="this kernel describes no process")
def test_the_limit_that_is_read_is_the_hard_one_of_that_process() -> None:
    assert limit_of_files(os.getpid()) == resource.getrlimit(resource.RLIMIT_NOFILE)[1]


DISK = DiskFacts("/data", 10_000 * MIB, 100_000, read_only=False, writable=True)


@pytest.mark.parametrize(
    ("change", "level"),
    [
        ({}, "ok"),
        ({"free": 500 * MIB}, "warning"),
        ({"free": 10 * MIB}, "error"),
        ({"free_inodes": 10}, "error"),
        ({"free_inodes": None}, "ok"),
        ({"read_only": True}, "error"),
        ({"writable": False}, "error"),
    ],
)
def test_the_disk_has_room_for_a_database(change: dict[str, Any], level: str) -> None:
    assert judge_disk(structs.replace(DISK, **change), has_database=True).level == level


def test_a_directory_that_is_to_be_made_is_not_asked_for_at_the_one_above() -> None:
    facts = structs.replace(DISK, path="/var/lib", missing="/var/lib/locshare", writable=False)
    finding = judge_disk(facts, has_database=True)
    assert "may not make /var/lib/locshare in /var/lib" in finding.text
    assert "chown" not in finding.do, "nobody should give /var/lib away"


@contextmanager
def another_user() -> Iterator[None]:
    """Whom a directory without rights keeps out; root is kept out of nothing."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_data_directory_that_this_user_may_not_look_into_is_no_fault_of_the_program(
    tmp_path: Path,
) -> None:
    """As that of a service of systemd, for whoever is not root."""
    settings = Settings(data_dir=tmp_path / "private" / "locshare")
    settings.data_dir.mkdir(parents=True)
    (tmp_path / "private").chmod(0)
    with another_user():
        findings = [*look_at_disk(settings), *look_at_key(settings)]
    (tmp_path / "private").chmod(0o700)
    assert [(each.check, each.level) for each in findings] == [("disk", "error"), ("key", "error")]
    assert "as the user who runs the server, or as root" in findings[0].do


def test_a_key_alone_needs_little_room() -> None:
    assert judge_disk(structs.replace(DISK, free=100 * MIB), has_database=False).level == "ok"


def test_memory_is_the_least_of_the_machines_and_of_the_servers_groups(tmp_path: Path) -> None:
    assert available_memory(root=tmp_path) is None
    files = {
        "proc/meminfo": "MemTotal: 9216 kB\nMemAvailable: 2048 kB\n",
        "proc/self/cgroup": "0::/user.slice\n",
        "proc/4711/cgroup": "0::/system.slice/locshare.service\n",
        "sys/fs/cgroup/user.slice/memory.max": "max\n",
        "sys/fs/cgroup/system.slice/locshare.service/memory.max": f"{3 * MIB}\n",
        "sys/fs/cgroup/system.slice/locshare.service/memory.high": "max\n",
        "sys/fs/cgroup/system.slice/locshare.service/memory.current": f"{2 * MIB}\n",
        "sys/fs/cgroup/system.slice/locshare.service/memory.stat": "inactive_file 0\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_memory(root=tmp_path) == 2 * MIB
    assert available_memory(4711, tmp_path) == MIB


@pytest.mark.parametrize(
    ("available", "level"), [(None, "skipped"), (LOW_MEMORY - 1, "warning"), (LOW_MEMORY, "ok")]
)
def test_little_memory_is_a_warning(available: int | None, level: str) -> None:
    assert judge_memory(available).level == level


@pytest.mark.parametrize(
    ("now", "synchronised", "level"),
    [(1e9, True, "ok"), (1e9, False, "warning"), (1e9, None, "skipped"), (1e8, True, "error")],
)
def test_a_clock_is_synchronised_and_not_before_the_program(
    now: float, synchronised: bool | None, level: str
) -> None:
    assert judge_clock(now, installed=1e9, synchronised=synchronised).level == level


def test_the_clock_is_compared_where_the_modules_are_no_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the single file they are parts of the program."""
    monkeypatch.setattr("locshare.__file__", "/nowhere/locshare/__init__.pyc")
    (finding,) = look_at_clock(Settings())
    assert finding.check == "clock"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to another user")
@pytest.mark.parametrize(
    ("owner", "of_the_directory", "mode", "level"),
    [(4711, 4711, 0o600, "ok"), (4711, 4712, 0o600, "error"), (4711, 4711, 0o640, "error")],
)
def test_root_finds_the_key_of_a_service_that_runs_as_another_user(
    owner: int, of_the_directory: int, mode: int, level: str, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.secret_file.write_text("s" * 64)
    settings.secret_file.chmod(mode)
    os.chown(settings.secret_file, owner, owner)
    os.chown(tmp_path, of_the_directory, of_the_directory)
    (finding,) = look_at_key(settings)
    assert finding.level == level


def test_python_that_sends_is_a_warning() -> None:
    assert judge_sending("compiled").level == "ok"
    assert judge_sending("python").level == "warning"


@pytest.mark.parametrize(
    ("state", "level"),
    [("free", "ok"), ("ours", "ok"), ("foreign", "error"), ("forbidden", "error"),
     ("no address", "error"), ("other", "error"), ("silent", "error")],
)  # fmt: skip
def test_a_port_is_free_or_ours_or_an_error_that_names_its_variable(
    state: State, level: str
) -> None:
    finding = judge_port(PortFacts("ws_bind", ":80", state, "why"))
    assert finding.level == level
    assert (level == "ok") or "LOCSHARE_WS_BIND" in finding.do


def test_a_server_that_hangs_is_not_another_program() -> None:
    finding = judge_port(PortFacts("bind", ":80", "silent", server=4711))
    assert "the server (process 4711) is there and does not answer" in finding.text
    assert "kill 4711" in finding.do


def test_an_internal_port_on_all_interfaces_is_a_warning() -> None:
    open_ports = Settings(internal_bind=":8082", debug_bind="127.0.0.1:8083")
    (finding,) = judge_exposure(open_ports)
    assert finding.level == "warning"
    assert "LOCSHARE_INTERNAL_BIND" in finding.do
    assert judge_exposure(Settings()) == []


DATABASE = DatabaseFacts(
    version="18.4", encrypted=True, pooler=False, read_only=False, latency_ms=0.4,
    clock_ahead_s=0.01, most_connections=100, used_connections=10, outstanding=0, fresh=False,
    may_create=True,
)  # fmt: skip


def worst(facts: DatabaseFacts, *, local: bool = False) -> dict[str, str]:
    return {
        each.check: each.level for each in judge_database(facts, local=local) if each.level != "ok"
    }


@pytest.mark.parametrize(
    ("change", "bad"),
    [
        ({}, {}),
        ({"read_only": True}, {"database": "error"}),
        ({"latency_ms": 80.0}, {"database latency": "warning"}),
        ({"clock_ahead_s": -60.0}, {"database clock": "warning"}),
        ({"used_connections": 95}, {"database connections": "warning"}),
        ({"used_connections": 95, "pooler": True}, {}),
        ({"encrypted": False}, {"database encryption": "warning"}),
        ({"encrypted": None}, {}),
        ({"outstanding": 3, "fresh": True}, {}),
        ({"outstanding": 1}, {}),
        ({"outstanding": 1, "may_create": False}, {"database rights": "error"}),
        ({"refused": "denied: grant it the right"}, {"database rights": "error"}),
    ],
)
def test_each_fault_of_a_database_is_one_finding(
    change: dict[str, Any], bad: dict[str, str]
) -> None:
    assert worst(structs.replace(DATABASE, **change)) == bad


def test_a_database_on_this_machine_needs_no_encryption() -> None:
    assert worst(structs.replace(DATABASE, encrypted=False), local=True) == {}
    assert [is_local(each) for each in ("", "/run/postgresql", "127.0.0.1:5432", "db,localhost")] \
        == [True, True, True, False]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "level"),
    [(200, "ok"), (204, "ok"), (404, "warning"), ("does not answer (ConnectError)", "warning")],
)
def test_a_tile_server_that_does_not_answer_is_a_warning(status: int | str, level: str) -> None:
    assert judge_tiles("tile_url", status).level == level


TRUSTED = ("10.0.0.1/32",)
CLIENT = "203.0.113.5"


def seen(**change: Any) -> ObservedRequest:
    through = ObservedRequest(
        "http", "10.0.0.1", 5000, CLIENT, (f"{FORGED}, {CLIENT}",), (f"for={FORGED}",), "where"
    )
    return structs.replace(through, **change)


@pytest.mark.parametrize(
    ("request_seen", "header", "level", "named"),
    [
        (seen(), "auto", "ok", CLIENT),
        (seen(forwarded_for=(CLIENT,)), "auto", "ok", CLIENT),
        (seen(forwarded_for=(FORGED, CLIENT)), "x-forwarded-for", "ok", CLIENT),
        (seen(forwarded_for=(), forwarded=('for="[2001:db8::1]"',)), "auto", "ok", "2001:db8::1"),
        (seen(forwarded=(f"for={FORGED}, for={CLIENT};proto=https",)), "forwarded", "ok", CLIENT),
        (seen(peer_port=4000), "auto", "ok", "no proxy"),
        (seen(peer="10.0.0.2"), "auto", "error", "LOCSHARE_TRUSTED_PROXIES"),
        (seen(forwarded_for=(FORGED,)), "auto", "error", "pretend"),
        (seen(), "forwarded", "error", "pretend"),
        (
            seen(forwarded_for=(FORGED,), forwarded=(f"for={CLIENT}",)),
            "auto", "error", "LOCSHARE_FORWARDED_HEADER=forwarded",
        ),
        (seen(forwarded_for=(), forwarded=()), "auto", "error", "does not send X-Forwarded-For"),
        (seen(forwarded=()), "forwarded", "error", "does not send Forwarded"),
    ],
)  # fmt: skip
def test_what_the_proxy_makes_of_the_clients_address(
    request_seen: ObservedRequest, header: ForwardedHeader, level: str, named: str
) -> None:
    finding = judge_forwarding(request_seen, own_port=4000, trusted=TRUSTED, header=header)
    assert finding.level == level
    assert named in finding.text + finding.do


def test_a_websocket_whose_client_the_proxy_does_not_name_is_an_error() -> None:
    assert judge_socket(seen()) is None
    finding = judge_socket(seen(forwarded_for=(), forwarded=()))
    assert finding is not None
    assert finding.level == "error"


def test_what_a_proxy_took_from_an_upgrade_is_said_as_the_server_says_it() -> None:
    finding = judge_upgrade(426, "BAD_HANDSHAKE", "the request came as HTTP/1.0; nginx: set it")
    assert (finding.text, finding.do) == ("the request came as HTTP/1.0", "Nginx: set it")
    for status in (404, 502):
        assert judge_upgrade(status, "", "no details").level == "error"
    assert "SESSION_FULL" in judge_upgrade(409, "SESSION_FULL", "full").text


def test_a_cut_says_which_time_out_to_raise() -> None:
    assert judge_idle(120, 120, None, 20).level == "ok"
    assert "--idle" in judge_idle(3, 3, None, 20).text
    cut = judge_idle(10.2, 60, "closed with 1006", 20)
    assert cut.level == "error"
    assert "20 s" in cut.do
    assert "below 10" in cut.do


@pytest.mark.parametrize(
    ("tls", "level"),
    [
        (Tls("TLSv1.3", 60), "ok"),
        (Tls("TLSv1.3"), "ok"),
        (Tls("TLSv1.3", 5), "warning"),
        (Tls(refusal="certificate has expired"), "error"),
    ],
)
def test_a_certificate_is_accepted_for_some_time_to_come(tls: Tls, level: str) -> None:
    assert judge_tls(tls, "where.example").level == level


@pytest.mark.parametrize(
    ("url", "given", "quiet"),
    [
        ("https://where.example", True, True),
        ("http://127.0.0.1:8080", True, True),
        ("http://127.0.0.1:8080", False, False),
        ("http://where.example", True, False),
        ("http://10.1.2.3:8080", False, False),
    ],
)
def test_an_address_without_tls_is_good_for_this_machine_only(
    url: str, given: bool, quiet: bool
) -> None:
    assert (judge_public_url(url, given=given) is None) == quiet


PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("status", "kind", "body", "level", "named"),
    [
        (404, PROBLEM, b'{"code":"SESSION_NOT_FOUND"}', "ok", "locshare"),
        (429, PROBLEM, b'{"code":"RATE_LIMITED"}', "ok", "locshare"),
        (503, PROBLEM, b'{"code":"UNAVAILABLE"}', "error", "log"),
        (502, "text/html", b"<html>", "error", "does not reach"),
        (301, "text/html", b"", "error", "elsewhere"),
        (401, "text/html", b"", "error", "keeps people out"),
        (404, "text/html", b"\xff", "error", "no locshare"),
        (200, "application/json", b"[]", "error", "no locshare"),
    ],
)
def test_an_answer_tells_a_locshare_from_everything_else(
    status: int, kind: str, body: bytes, level: str, named: str
) -> None:
    finding = judge_answer("http://x", status, kind, body)
    assert finding.level == level
    assert named in finding.text + finding.do


def test_a_line_has_its_advice_below_and_is_wrapped_on_a_terminal() -> None:
    finding = findings.error("disk", "it is full", "Make room " + "now " * 30)
    plain = line(finding).splitlines()
    assert plain[0] == "ERROR   disk                  it is full"
    assert len(plain) == 2
    terminal = line(finding, width=80, coloured=True).splitlines()
    assert len(terminal) > 2
    assert "\x1b[" in terminal[0]
    narrow = line(finding, width=20).splitlines()
    assert max(len(each) for each in narrow[1:]) <= 20
    assert "\x1b" not in narrow[0]
    assert summary(findings.report_of([finding])).strip().startswith("1 error:")
    assert summary(findings.report_of([findings.ok("a", "b")])).strip() == "Nothing to do."
