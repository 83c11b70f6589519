"""Measure the web client in a headless Chromium, against the real server, among 50 people who move.

    python -m tools.web_client [--minutes 10]

The heap, once a minute, is what is left after the garbage has been collected. The tick is the CPU
time of what the page does each second once everyone is silent: they age in the list and on the map
(CDP, Performance.getMetrics in threadTicks: no other process adds to it). A second page has the
list alone.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpx
from playwright.sync_api import Browser, CDPSession, Page

from bench.guardian import entrust
from tests.browser import chromium
from tests.program import Program, data_directory, running_program

PEOPLE: Final = 50
DEADLINE_MS: Final = 60_000.0
QUIET_S: Final = 30


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


def busy_ms(session: CDPSession) -> dict[str, float]:
    found = session.send("Performance.getMetrics")["metrics"]
    times = {each["name"]: float(each["value"]) * 1000 for each in found}
    return {name: times[f"{name}Duration"] for name in ("Script", "RecalcStyle", "Layout", "Task")}


def measure_tick(what: str, page: Page, session: CDPSession) -> None:
    """Print the CPU time of a second in which nobody moves."""
    shown = page.locator("#list li").count()
    session.send("Performance.setTimeDomain", {"timeDomain": "threadTicks"})
    session.send("Performance.enable")
    before = busy_ms(session)
    page.wait_for_timeout(QUIET_S * 1000)
    after = busy_ms(session)
    each = {name: (after[name] - before[name]) / QUIET_S for name in before}
    print(
        f"a tick, {what}, {shown} people: "
        + ", ".join(f"{name} {value:.1f} ms" for name, value in each.items())
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
            measure_heap(page, session, options.minutes)
            alone, other = joined(browser, link, "**/map-*.js")
        page.wait_for_timeout(20_000)  # until they are offline
        measure_tick("list and map", page, session)
        measure_tick("list", alone, other)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
