"""The examples run against the real server, and the tutorial shows them as they are."""

import functools
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from bench.guardian import entrust
from locshare.model.reasons import CloseReason, should_reconnect
from tests.browser import DEADLINE_MS, chromium_or_skip
from tests.documents.pages import ROOT
from tests.node import NODE
from tests.npm import installed
from tests.program import Program, data_directory, free_port, running_program
from tests.running import LAST_RESORT_S

EXAMPLES: Final = ROOT / "examples"
PAGES: Final = sorted((ROOT / "docs" / "tutorial").glob("*.md"))
PORT: Final = free_port()
"""Of the web page that is not the server's own."""


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with data_directory() as data:
        settings = {
            "LOCSHARE_DATA_DIR": str(data),
            "LOCSHARE_ALLOWED_ORIGINS": f"http://localhost:{PORT}",
        }
        with running_program(settings) as program:
            yield program


class Session:
    """A session, with those of its host's calls that a test needs."""

    def __init__(self, program: Program) -> None:
        self.url = f"{program.http_url}/api/sessions"
        self.created: dict[str, Any] = httpx.post(self.url, json={}).json()

    @property
    def link(self) -> str:
        link: str = self.created["join_link"]
        return link

    def end(self) -> None:
        httpx.delete(
            f"{self.url}/{self.created['session_id']}",
            headers={"Authorization": f"Bearer {self.created['host_token']}"},
        ).raise_for_status()


RUNNERS: Final = {".mjs": NODE, ".py": sys.executable, ".sh": "/bin/sh"}


@contextmanager
def running(
    name: str, link: str, person: str, **environment: str
) -> Iterator["subprocess.Popen[str]"]:
    runner = RUNNERS[Path(name).suffix]
    with entrust(subprocess.Popen(
        [runner, str(EXAMPLES / name), link, person],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")} | environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def read_until(process: "subprocess.Popen[str]", expected: str) -> None:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if re.search(expected, line):
            return
    raise AssertionError("".join(seen))


@pytest.mark.e2e
def test_look_prints_the_participants(program: Program) -> None:
    with running("look.py", Session(program).link, "Ada") as process:
        out, _ = process.communicate(timeout=LAST_RESORT_S)
    assert (process.returncode, out) == (0, "Ada online\n")


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["share.py", "plain.py", "thirty.py", "share.mjs"])
def test_two_that_share_see_each_other_until_the_session_ends(name: str, program: Program) -> None:
    session = Session(program)
    with running(name, session.link, "Ada") as ada, running(name, session.link, "Bo") as bo:
        read_until(ada, r"^Bo is at 52\.5\d{4}, 13\.4\d{4}$")
        read_until(bo, r"^Ada is at 52\.5\d{4}, 13\.4\d{4}$")
        session.end()
        for process in (ada, bo):
            out, _ = process.communicate(timeout=LAST_RESORT_S)
            assert process.returncode == 0, out
            assert "ended" in out


@pytest.mark.e2e
@pytest.mark.browser
def test_the_page_shows_where_the_others_are(program: Program) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(
        ("127.0.0.1", PORT), functools.partial(Quiet, directory=str(EXAMPLES))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    session = Session(program)
    try:
        with running("share.py", session.link, "Bo") as bo, chromium_or_skip() as browser:
            context = browser.new_context(
                geolocation={"latitude": 52.5, "longitude": 13.4}, permissions=["geolocation"]
            )
            page = context.new_page()
            page.set_default_timeout(DEADLINE_MS)
            page.goto(f"http://localhost:{PORT}/page.html")
            page.fill("[name=link]", session.link)
            page.fill("[name=name]", "Ada")
            page.click("button")
            page.wait_for_selector("li >> text=Bo is at 52.5")
            read_until(bo, r"^Ada is at 52\.50000, 13\.40000$")
            session.end()
            page.wait_for_selector("form >> text=ended: 4410")
            assert bo.wait(LAST_RESORT_S) == 0
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.e2e
def test_the_shell_sees_a_program_and_is_seen_by_it(program: Program) -> None:
    """With wscat, from npm: websocat is in no registry as a program."""
    path = [str(installed(ROOT / "tests" / "contract") / "node_modules" / ".bin")]
    path += [str(Path(NODE).parent), "/usr/local/bin", "/usr/bin", "/bin"]
    session = Session(program)
    with (
        running("share.sh", session.link, "Ada", PATH=os.pathsep.join(path)) as ada,
        running("thirty.py", session.link, "Bo") as bo,
    ):
        read_until(ada, r"^[0-9a-f-]{36} is at 52\.52, 13\.405$")
        read_until(bo, r"^Ada is at 52\.52000, 13\.40500$")
        session.end()
        for process in (ada, bo):
            out, _ = process.communicate(timeout=LAST_RESORT_S)
            assert process.returncode == 0, out
            assert "ended" in out


def test_the_short_client_has_thirty_lines_of_code() -> None:
    text = (EXAMPLES / "thirty.py").read_text().partition('"""\n\n')[2]
    assert len([line for line in text.splitlines() if line.strip()]) <= 30


def test_the_module_decides_about_each_close_code_as_the_server_means_it() -> None:
    script = (
        f"import {{comesBack}} from {json.dumps(str(EXAMPLES / 'locshare.mjs'))};"
        "const codes = Array.from({length: 4000}, (_, i) => 1000 + i);"
        "console.log(JSON.stringify(codes.filter(comesBack)));"
    )
    done = subprocess.run(
        [NODE, "--input-type=module", "--eval", script],
        capture_output=True, text=True, check=True, timeout=LAST_RESORT_S,
    )  # fmt: skip
    expected = [code for code in range(1000, 5000) if should_reconnect(code)]
    assert json.loads(done.stdout) == expected


def test_the_module_comes_back_after_the_close_codes_that_say_so() -> None:
    text = (EXAMPLES / "locshare.mjs").read_text()
    codes = {int(code) for code in re.findall(r"(\d{4}): \d+[,}]", text)}
    assert codes == {each.code for each in CloseReason if each.reconnect}


def test_the_tutorial_shows_each_example_whole() -> None:
    shown = {
        block
        for page in PAGES
        for block in re.findall(
            r"^```(?:python|js|html).*?\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL
        )
    }
    examples = {
        path.name: path.read_text()
        for path in EXAMPLES.iterdir()
        if path.suffix in (".py", ".mjs", ".html")
    }
    assert {name for name, text in examples.items() if text not in shown} == set()
    assert shown - set(examples.values()) == set()
