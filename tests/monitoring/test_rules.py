"""Each alert fires at its threshold and not below, as `promtool test rules` sees it."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]
from msgspec import Struct

from tests.documents.pages import ROOT
from tests.monitoring.drill import check_covered, main
from tests.monitoring.rules import MONITORING, RULES, alerts, needs_prometheus
from tools.metrics_page import bench_rows, names, server_rows

SEVERITIES: Final = {"critical", "warning", "info", "none"}
Series = Mapping[str, str]


class Case(Struct, frozen=True):
    """``firing`` and ``quiet`` are series in promtool's notation, a sample a minute; at ``at`` the
    alert fires on the first and not on the second.
    """

    alert: str
    at: str
    firing: Series
    quiet: Series


def events(failed: str, fine: str) -> Series:
    """Answers of the API a minute; nothing else happens."""
    route = 'route="/api/sessions",method="POST"'
    return {
        f'locshare_http_requests_total{{{route},status="503"}}': failed,
        f'locshare_http_requests_total{{{route},status="201"}}': fine,
        "locshare_connections_opened_total{}": "0x10000",
        'locshare_connections_refused_total{reason="full"}': "0x10000",
        'locshare_connections_closed_total{reason="internal_error"}': "0x10000",
        "locshare_sessions{}": "1x10000",
    }


def sockets(refused: str) -> Series:
    """Of a hundred connects a minute; the API has no series yet."""
    return {
        "locshare_connections_opened_total{}": "0+94x60",
        'locshare_connections_refused_total{reason="full"}': refused,
        'locshare_connections_closed_total{reason="internal_error"}': "0x60",
        "locshare_sessions{}": "1x60",
    }


def positions(half_second: int, second: int, all_: int) -> Series:
    """How many a minute take at most that long."""
    counts = {"0.5": half_second, "1.0": second, "2.5": all_, "+Inf": all_}
    found = {
        f'locshare_position_seconds_bucket{{le="{bound}"}}': f"0+{count}x200"
        for bound, count in counts.items()
    }
    return found | {"locshare_position_seconds_count{}": f"0+{all_}x200"}


def ratio(
    above: str, below: str, firing: float, quiet: float, more: str = ""
) -> tuple[Series, ...]:
    """Two gauges, of which the first is that share of the second."""
    return tuple(
        {f"{above}{{{more}}}": f"{share * 1000}x60", f"{below}{{{more}}}": "1000x60"}
        for share in (firing, quiet)
    )


def rising(counter: str, firing: str, quiet: str = "0x60") -> tuple[Series, Series]:
    return {counter: firing}, {counter: quiet}


def statements(quick: int, all_: int) -> Series:
    counts = {"0.25": quick, "0.5": all_, "+Inf": all_}
    return {
        f'locshare_store_statement_seconds_bucket{{le="{bound}"}}': f"0+{count}x60"
        for bound, count in counts.items()
    }


def loop(prompt: str) -> Series:
    return {
        'locshare_loop_delay_seconds_bucket{le="1.0"}': prompt,
        "locshare_loop_delay_seconds_count{}": "0+600x60",
    }


def too_slow(count: str) -> Series:
    return {
        'locshare_connections_closed_total{reason="too_slow"}': count,
        "locshare_connections{}": "100x60",
    }


JOB: Final = 'job="locshare"'
CASES: Final = (
    Case("LocshareDown", "5m", {f"up{{{JOB}}}": "0x60"}, {f"up{{{JOB}}}": "1x60"}),
    Case("LocshareDown", "5m", {}, {f"up{{{JOB}}}": "1x60"}),
    Case("LocshareLatencyCritical", "20m", positions(0, 98, 100), positions(0, 100, 100)),
    Case("LocshareLatencyHigh", "20m", positions(94, 100, 100), positions(96, 100, 100)),
    Case("LocshareLatencyBudget", "90m", positions(0, 98, 100), positions(0, 99, 100)),
    Case("LocshareErrorsCritical", "20m", events("0+6x60", "0+94x60"), events("0+4x60", "0+96x60")),
    Case("LocshareErrorsHigh", "20m", events("0+2x60", "0+98x60"), events("0+2x60", "0+998x60")),
    # Sockets alone, as after a restart that all came back from: the API has not been asked yet.
    Case("LocshareErrorsCritical", "20m", sockets("0+6x60"), sockets("0+4x60")),
    # Three failures of ten are no outage of a server that few use.
    Case("LocshareErrorsHigh", "20m", events("0+2x60", "0+10x60"), events("0x15 3x45", "0x15 7x9")),
    Case(
        "LocshareErrorBudgetFast", "90m",
        events("0+20x200", "0+980x200"), events("0+10x200", "0+990x200"),
    ),
    Case(
        "LocshareErrorBudgetSlow", "60m",
        events("0+7x500", "0+993x500"), events("0+5x500", "0+995x500"),
    ),
    # Two of a hundred in five minutes are few, and steady; three of ten, once, are no outage.
    Case(
        "LocshareErrorBudgetSlow", "60m",
        events("0+0.4x500", "0+19.6x500"), events("0x5 3x500", "0x5 7x500"),
    ),
    Case(
        "LocshareErrorBudgetSlow", "30m",
        events("0+7x500", "0+993x500"), events("0x5 3x500", "0x5 7x500"),
    ),
    Case(
        "LocshareErrorBudgetTrickle", "90m",
        events("0+2x5000", "0+998x5000"), events("0+1x5000", "0+1999x5000"),
    ),
    Case(
        "LocshareMemoryCritical", "20m",
        *ratio("locshare_memory_used_bytes", "locshare_memory_limit_bytes", 0.91, 0.89),
    ),
    Case(
        "LocshareMemoryHigh", "20m",
        *ratio("locshare_memory_used_bytes", "locshare_memory_limit_bytes", 0.71, 0.69),
    ),
    Case(
        "LocshareDiskFull", "20m",
        *ratio("locshare_disk_used_bytes", "locshare_disk_size_bytes", 0.96, 0.94),
    ),
    Case(
        "LocshareDiskHigh", "20m",
        *ratio("locshare_disk_used_bytes", "locshare_disk_size_bytes", 0.86, 0.84),
    ),
    Case("LocshareFilesLow", "20m", *ratio("process_open_fds", "process_max_fds", 0.86, 0.84, JOB)),
    Case(
        "LocshareCoreFull", "20m",
        *ratio("locshare_flush_window_seconds", "locshare_flush_window_max_seconds", 1, 0.8),
    ),
    Case("LocshareLoopBlocked", "8m", loop("0+600x5 3599+600x40"), loop("0+600x60")),
    Case(
        "LocshareConnectionsFull", "20m",
        *ratio("locshare_connections", "locshare_connections_max", 0.91, 0.89),
    ),
    Case(
        "LocshareSessionsFull", "20m",
        *ratio("locshare_sessions", "locshare_sessions_max", 0.91, 0.89),
    ),
    Case(
        "LocshareMailboxFull", "20m",
        *ratio("locshare_mailbox_messages_max", "locshare_mailbox_capacity", 0.81, 0.79),
    ),
    Case("LocshareStoreAway", "5m", *rising("locshare_store_open{}", "0x60", "1x60")),
    Case("LocshareStoreSlow", "20m", statements(94, 100), statements(96, 100)),
    Case(
        "LocshareStoreQueue", "20m",
        *rising('locshare_store_waiting{kind="join_or_create"}', "501x60", "499x60"),
    ),
    Case("LocshareStoreDropped", "10m", *rising("locshare_store_dropped_total{}", "0x5 1x60")),
    Case(
        "LocshareCrashLoop", "10m",
        *rising('locshare_crash_reports_total{child="store",kind="crash"}', "0x6 5x60", "0x6 2x60"),
    ),
    Case(
        "LocshareGaveUp", "10m",
        *rising('locshare_crash_reports_total{child="session",kind="gave_up"}', "0x5 1x60"),
    ),
    Case("LocshareSessionCrashed", "10m", *rising("locshare_session_crashes_total{}", "0x5 1x60")),
    Case(
        "LocshareConnectionCrashed", "10m",
        *rising("locshare_connection_crashes_total{}", "0x5 1x60"),
    ),
    Case(
        "LocshareRestarts", "15m",
        *rising(f"process_start_time_seconds{{{JOB}}}", "1x3 2x3 3x3 4x3", "1x6 2x6"),
    ),
    Case("LocshareReceiversTooSlow", "20m", too_slow("0+1x60"), too_slow("0+0.4x60")),
    Case(
        "LocshareTokensRefused", "30m",
        *rising('locshare_connections_refused_total{reason="bad_token"}', "0+90x60", "0+30x60"),
    ),
    Case(
        "LocshareConnectionsEvicted", "15m",
        {
            "locshare_http_connections_evicted_total{}": "0+2x60",
            "locshare_http_connections_reserved_total{}": "0+1x60",
        },
        {
            "locshare_http_connections_evicted_total{}": "0+1x60",
            "locshare_http_connections_reserved_total{}": "0x60",
        },
    ),
    Case("LocshareLogDropped", "10m", *rising("locshare_log_lines_dropped_total{}", "0x5 9x60")),
    Case("LocshareMetricsBroken", "10m", *rising("locshare_collect_failures_total{}", "0x5 1x60")),
    Case("LocshareMilestone", "5m", *rising("locshare_connections{}", "100x60", "99x60")),
)  # fmt: skip
ALWAYS: Final = {"LocshareWatchdog"}


@needs_prometheus
def test_promtool_sees_each_alert_fire_at_its_threshold_and_not_below(tmp_path: Path) -> None:
    tests = [unit(case, series, firing=firing)
             for case in CASES
             for series, firing in ((case.firing, True), (case.quiet, False))]  # fmt: skip
    file = tmp_path / "rules_test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(path) for path in RULES], "tests": tests}))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
def test_time_in_which_the_server_is_gone_is_taken_off_the_availability(tmp_path: Path) -> None:
    """It answers for half of the time, and fails in one of a hundred of what it is asked."""
    series = {**events("0+1x31 31x40", "0+99x31 3069x40"), f"up{{{JOB}}}": "1x30 0x30"}
    test = {
        "interval": "1m",
        "input_series": of_one_instance(series),
        "promql_expr_test": [
            {
                "expr": "round(locshare:availability:30d, 0.0001)",
                "eval_time": "61m",
                "exp_samples": [{"labels": '{instance="a"}', "value": 0.495}],
            }
        ],
    }
    file = tmp_path / "rules_test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(path) for path in RULES], "tests": [test]}))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def of_one_instance(series: Series) -> list[dict[str, str]]:
    return [
        {"series": name.replace("{", '{instance="a",', 1).replace(",}", "}"), "values": values}
        for name, values in series.items()
    ]


def unit(case: Case, series: Series, *, firing: bool) -> dict[str, Any]:
    query = f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}})'
    state = "fires" if firing else "is quiet"
    return {
        "name": f"{case.alert} {state}",
        "interval": "1m",
        "input_series": of_one_instance(series),
        "promql_expr_test": [
            {
                "expr": query,
                "eval_time": case.at,
                "exp_samples": [{"labels": "{}", "value": 1}] if firing else [],
            }
        ],
    }


def test_each_alert_has_a_case_and_is_fired_for_real_or_said_not_to_be() -> None:
    assert {case.alert for case in CASES} | ALWAYS == {rule["alert"] for rule in alerts()}
    check_covered()


@pytest.mark.parametrize("rule", [*alerts()], ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_is_how_bad_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["labels"]["subject"]
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["description"].endswith(".")
    page = ROOT / rule["annotations"]["runbook"]
    assert page.stem == rule["alert"]
    assert page.is_file(), f"write {page}"


def test_the_rules_name_only_metrics_that_there_are() -> None:
    text = "\n".join(path.read_text() for path in RULES)
    named = set(re.findall(r"\b(?:locshare|process|python)_\w+", text))
    assert named - set(names([*server_rows(), *bench_rows()])) == set()


@needs_prometheus
def test_prometheus_and_alertmanager_accept_their_files() -> None:
    for command in (
        ["promtool", "check", "config", "prometheus.yml"],
        ["amtool", "check-config", "alertmanager.yml"],
    ):
        done = subprocess.run(command, cwd=MONITORING, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_drill_of_no_scenario_is_wrong_usage_and_no_success(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["nope"])
    assert ended.value.code == 2
    assert "no scenario has nope in its title; there are: " in capsys.readouterr().err
