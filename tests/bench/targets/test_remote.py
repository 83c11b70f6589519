"""Servers given by their address."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from bench.guardian import entrust
from bench.procfs import PROC
from bench.targets import NotServing, parse


@pytest.fixture
def sleeper() -> Iterator[int]:
    with entrust(subprocess.Popen(["sleep", "60"])) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def state(pid: int) -> str:
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]


def test_a_plain_server_needs_an_address_and_a_dialect() -> None:
    target = parse("other=https://where.example:8443/base/,dialect=plain")
    assert (target.description.name, target.description.dialect) == ("other", "plain")
    assert target.description.facts is None
    assert target.http_url == "https://where.example:8443/base"
    assert target.ws_url is None
    assert list(target.pids()) == []
    assert not target.can("pause_process")


def test_a_phoenix_server_may_have_a_socket_and_topics_of_its_own() -> None:
    target = parse(
        "elixir=http://127.0.0.1:4000,dialect=phoenix,"
        "ws=ws://127.0.0.1:4000/socket/websocket,topic=room:{session_id}"
    )
    assert target.description.dialect == "phoenix"
    assert target.ws_url == "ws://127.0.0.1:4000/socket/websocket"
    assert target.topic == "room:{session_id}"
    assert parse("e=http://h,dialect=phoenix").topic == "session:{session_id}"


@pytest.mark.parametrize(
    ("text", "wrong", "allowed"),
    [
        ("", "''", "NAME=URL"),
        ("http://h,dialect=plain", "'http://h'", "NAME=URL"),
        ("a b=http://h,dialect=plain", "'a b=http://h'", "NAME=URL"),
        ("x=h:80,dialect=plain", "'h:80'", "http://HOST[:PORT]"),
        ("x=ws://h,dialect=plain", "'ws://h'", "https://HOST[:PORT]"),
        ("x=http://h:99999,dialect=plain", "'http://h:99999'", "http://HOST[:PORT]"),
        ("x=http://h", "dialect is missing", "plain, compact, phoenix"),
        ("x=http://h,dialect=json", "dialect=json", "plain, compact, phoenix"),
        ("x=http://h,dialect=", "'dialect='", "dialect=…"),
        ("x=http://h,dialect=plain,colour=red", "'colour=red'", "dialect=…, ws=…, topic=…, pid=…"),
        ("x=http://h,dialect=plain,dialect=plain", "dialect is given twice", "once"),
        ("x=http://h,dialect=plain,ws=http://h", "ws is 'http://h'", "ws://HOST[:PORT]"),
        ("x=http://h,dialect=plain,topic=a:{session_id}", "topic", "phoenix"),
        ("x=http://h,dialect=phoenix,topic=a", "topic=a", "{session_id}"),
        ("x=http://h,dialect=plain,pid=one", "pid=one", "pid=71+72"),
        ("x=http://h,dialect=plain,pid=999999999", "pid=999999999", "no such process"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(text: str, wrong: str, allowed: str) -> None:
    with pytest.raises(ValueError, match=r"^--target ") as refusal:
        parse(text)
    assert wrong in str(refusal.value)
    assert allowed in str(refusal.value)


@pytest.mark.skipif(not PROC.exists(), reason="no /proc")
def test_with_its_processes_known_it_can_be_paused_and_nothing_else(sleeper: int) -> None:
    target = parse(f"x=http://h,dialect=plain,pid={sleeper}+{sleeper}")
    assert list(target.pids()) == [sleeper, sleeper]
    assert target.can("pause_process")
    assert str(sleeper) in target.begin("pause_process", "")
    os.waitid(os.P_PID, sleeper, os.WSTOPPED | os.WNOWAIT)
    assert state(sleeper) == "T"
    target.end("pause_process")
    os.waitid(os.P_PID, sleeper, os.WCONTINUED | os.WNOWAIT)
    assert state(sleeper) != "T"
    for kind in ("kill_process", "crash_session", "cut_network", "drop_clients"):
        assert not target.can(kind)
        with pytest.raises(NotServing, match=kind):
            target.begin(kind, "")
    assert state(sleeper) in "SR"
