"""Measure the web client in a headless Chromium, against the real server, among 50 people who move.

    python -m tools.web_client [--minutes 10]

The heap, once a minute, is what is left after the garbage has been collected. The tick is the CPU
time of what the page does in a second once everyone is silent, while their ages go by seconds,
in the list and on the map; a second page has the list alone. It is taken from a trace of Chromium
(RunTask, thread time: no other process adds to it). The work for one picture of the screen is one
task, so the longest task is the longest that a picture was kept waiting.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import httpx
from playwright.sync_api import Browser, CDPSession, Page

from bench.guardian import entrust
from tests.browser import chromium
from tests.program import Program, data_directory, running_program

PEOPLE: Final = 50
DEADLINE_MS: Final = 60_000.0
SILENT_S: Final = 32
"""Until everyone is old, and nothing fades any more."""
QUIET_S: Final = 12
TIMELINE: Final = "disabled-by-default-devtools.timeline"


@contextmanager
def group(program: Program, link: str) -> Iterator[None]:
    """The others, who move until the block ends, and stay."""
    simulated = entrust(
        subprocess.Popen(
            [
                sys.executable, "-m", "locshare", "simulate", "--url", program.http_url,
                "--link", link, "--size", str(PEOPLE - 2), "--movement", "mixed",
            ],
            env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
    )  # fmt: skip
    try:
        yield
    finally:
        simulated.kill()  # else they would leave
        simulated.wait()


def heap_mb(session: CDPSession) -> float:
    session.send("HeapProfiler.collectGarbage")
    found: dict[str, Any] = session.send("Runtime.getHeapUsage")
    return float(found["usedSize"]) / 1e6


def measure_heap(page: Page, session: CDPSession, minutes: int) -> None:
    """Print the heap of each minute. Raises TimeoutError when the group does not come."""
    page.locator("#list li").nth(PEOPLE - 2).wait_for(state="attached")
    page.wait_for_timeout(10_000)
    for minute in range(minutes + 1):
        print(f"after {minute} min: heap {heap_mb(session):.1f} MB", flush=True)
        if minute < minutes:
            page.wait_for_timeout(60_000)


class Task(NamedTuple):
    """A task of a page's main thread, in milliseconds: its begin, CPU time, the scripts' part."""

    at: float
    cpu: float
    script: float


def tasks_of(trace: bytes, link: str) -> list[Task]:
    """The tasks of the page that shows ``link``."""
    events = json.loads(trace)["traceEvents"]
    (started,) = (each for each in events if each["name"] == "TracingStartedInBrowser")
    frames = started["args"]["data"]["frames"]
    (process,) = {each["processId"] for each in frames if each["url"].startswith(link)}
    (main,) = {
        each["tid"]
        for each in events
        if each["pid"] == process
        and each["name"] == "thread_name"
        and each["args"]["name"] == "CrRendererMain"
    }
    own = [each for each in events if each["pid"] == process and each["tid"] == main]
    scripts = sorted(
        (each["ts"], each.get("tdur", 0)) for each in own if each["name"] == "FunctionCall"
    )
    found = []
    for each in own:
        if each["name"] != "RunTask" or "dur" not in each:
            continue
        begin, end = each["ts"], each["ts"] + each["dur"]
        inside = sum(cpu for at, cpu in scripts if begin <= at < end)
        found.append(Task(begin / 1000, each.get("tdur", 0) / 1000, inside / 1000))
    return sorted(found)


def measure_tick(browser: Browser, what: str, page: Page, link: str) -> None:
    """Print the CPU time of the seconds in which nobody moves."""
    browser.start_tracing(page=page, categories=["-*", "devtools.timeline", TIMELINE])
    page.wait_for_timeout(QUIET_S * 1000)
    tasks = tasks_of(browser.stop_tracing(), link)
    begin = tasks[0].at + 1_000  # before that the trace itself begins
    tasks = [each for each in tasks if begin <= each.at < begin + (QUIET_S - 2) * 1000]
    seconds: dict[int, list[Task]] = {}
    for each in tasks:
        seconds.setdefault(int((each.at - begin) / 1000), []).append(each)
    cpu = sorted(sum(each.cpu for each in second) for second in seconds.values())
    script = sorted(sum(each.script for each in second) for second in seconds.values())
    print(
        f"a second of {page.locator('#list li').count()} people who age, {what}: "
        f"script {script[len(script) // 2]:.1f} ms in the median, {script[-1]:.1f} at most; "
        f"in all {cpu[len(cpu) // 2]:.1f} ms in the median, {cpu[-1]:.1f} at most; "
        f"the longest task {max(each.cpu for each in tasks):.1f} ms; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def joined(browser: Browser, link: str, without: str = "") -> tuple[Page, CDPSession]:
    """A phone that watches, without the files that ``without`` names."""
    page = browser.new_context(viewport={"width": 393, "height": 851}).new_page()
    page.set_default_timeout(DEADLINE_MS)
    if without:
        page.route(without, lambda route: route.abort())
    page.goto(link)
    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("button", name="Only watch").click()
    page.locator("#list li").first.wait_for()
    return page, page.context.new_cdp_session(page)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=10)
    options = parser.parse_args(arguments)
    with (
        data_directory() as folder,
        running_program({"LOCSHARE_DATA_DIR": str(folder)}) as program,
        chromium() as browser,
    ):
        created = httpx.post(f"{program.http_url}/api/sessions").json()
        link = created["join_link"]
        with group(program, link):
            page, session = joined(browser, link)
            alone, _ = joined(browser, link, "**/map-*.js")
            measure_heap(page, session, options.minutes)
        page.wait_for_timeout(SILENT_S * 1000)
        measure_tick(browser, "list and map", page, link)
        measure_tick(browser, "list", alone, link)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
