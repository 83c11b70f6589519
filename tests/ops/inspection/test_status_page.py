"""The status page: what is shown, escaped, without a script; and the latency that it shows."""

import re
from html.parser import HTMLParser

import pytest

from locshare.ops.inspection.operations import latency_of
from locshare.ops.inspection.status_page import HEADERS, STYLE, render
from locshare.ops.inspection.text import as_text
from locshare.ops.inspection.views import ActorView, Latency, ProcessInfo, TreeSnapshot
from locshare.telemetry.histogram import Histogram

PROCESS = ProcessInfo(
    version="1.0", pid=7, uptime=61, rss=1 << 20, sessions=2, online=3, participants=4,
    latency=Latency(0.001, 0.02, 0.3, 10),
)  # fmt: skip


def tree(*sessions: ActorView, hidden: int = 0) -> TreeSnapshot:
    reaper = ActorView("reaper", "reaper", "task", "running", last_reason="<b>no</b>", restarts=2)
    supervisor = ActorView("sessions", "sessions", "supervisor", "running", children=sessions,
                           hidden=hidden)  # fmt: skip
    root = ActorView(".", "root", "supervisor", "running", children=(supervisor, reaper))
    return TreeSnapshot(0.0, PROCESS, root)


def session(name: str, latency: float) -> ActorView:
    path = f"sessions/{name}"
    actor = ActorView(f"{path}/session", "session", "actor", "running", latency=latency,
                      gauges={"participants": 5, "online": 4}, mailbox=1)  # fmt: skip
    return ActorView(path, name, "supervisor", "running", children=(actor,))


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]


def test_the_slowest_sessions_come_as_they_were_sorted_with_their_latency() -> None:
    page = render(tree(session("6f1c9d0e", 0.9), session("2beabc7a", 0.001), hidden=7), {})
    assert page.index("6f1c9d0e") < page.index("2beabc7a")
    assert "900.0 ms" in page
    assert "4 of 5" in page
    assert "7 more" in page
    assert "p99 300.0 ms" in page


def test_health_is_said_in_words_and_what_fails_stands_out() -> None:
    page = render(tree(), {"database": "too_slow", "serving": "ok"})
    assert "<span class=bad>database too slow</span>" in page
    assert "<span class=good>serving ok</span>" in page
    assert "No session is in memory" in page


def test_nothing_in_it_is_markup_that_was_not_written_here() -> None:
    page = render(tree(), {"<i>": "ok"})
    tags = Tags()
    tags.feed(page)
    assert "<b>no</b>" not in page
    assert {"b", "i", "script", "a", "form", "img"}.isdisjoint(tags.found)


def test_the_policy_allows_this_style_and_nothing_else() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search("unsafe|script-src|http", policy)
    assert render(tree(), {}).count("<style>") == 1
    assert f"<style>{STYLE}</style>" in render(tree(), {})


def test_quantiles_are_of_what_came_between_two_snapshots() -> None:
    times = Histogram((1.0, 2.0, 4.0))
    assert latency_of(None) is None
    assert latency_of(times.read()) is None
    for value in [0.5] * 50 + [3.0] * 50:
        times.observe(value)
    before = times.read()
    found = latency_of(before)
    assert found is not None
    assert (found.p50, found.count) == (1.0, 100)
    assert found.p95 == pytest.approx(3.8)
    assert latency_of(times.read(), before) is None
    times.observe(100.0)
    assert latency_of(times.read(), before) == Latency(4.0, 4.0, 4.0, 1)


def test_the_text_form_has_the_latency_of_all_and_of_each_session() -> None:
    text = as_text(tree(session("6f1c9d0e", 0.0123)))
    assert "position latency p50 1.0 ms, p95 20.0 ms, p99 300.0 ms" in text
    assert "12.3 ms" in text
