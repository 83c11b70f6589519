"""Every command that the documents show works.

``locshare`` is run for real, beside a real server; what measures is parsed by its own parser, since
running it would take hours; what cannot run here is in :data:`CANNOT_RUN`, with the reason.
"""

import importlib
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from bench.guardian import entrust
from locshare.auth.tokens import TokenKeys
from locshare.config import all_settings
from tests.documents.pages import ROOT, Command, commands
from tests.program import Program, data_directory, free_port, running_program
from tests.running import LAST_RESORT_S

pytestmark = pytest.mark.e2e

PATIENCE_S = LAST_RESORT_S
CANNOT_RUN: Final[dict[str, str]] = {
    "docker run": "there is no Docker daemon in a test",
    "docker exec": "the same",
    "docker compose": "the same; `make test-compose` has one",
    "caddy reverse-proxy": "`make test-binary` runs it",
    "install -m": "writes into the system",
    "systemctl": "needs a booted systemd: `make test-systemd`",
    "systemd-run": "the same",
    "env": "the same",
    "journalctl": "the same",
    "kubectl": "there is no cluster in a test; tests/deploy reads the manifests",
    "make container": "needs buildah and a base image; its recipe is parsed",
    "make test-binary": "takes minutes; its recipe is parsed",
    "make test-systemd": "boots a Debian; its recipe is parsed",
    "make test-compose": "starts an engine and its containers; its recipe is parsed",
    "make test-kubernetes": "builds programs with Go; its recipe is parsed",
    "make release": "needs a clean work tree; tests/tools/test_release.py tries its parts",
    "make test-all": "takes hours; its recipe is parsed",
    "apt install": "changes the machine; `make packages` does it for the tests",
    "redis-server": "is Redis's own; the comparators' tests start one",
    "k6 run": "k6 is no dependency; tests/bench/k6 reads the scripts",
    "pip install": "needs the package index; what it names is looked up",
    "make test": "would run this test again; its recipe is parsed",
    "make generate": "tests/contract/test_typescript.py makes the same files",
    "make binary-debian11": "needs root and half an hour; its recipe is parsed",
    "make binary": "takes minutes; its recipe is parsed, and `make test-binary` runs the result",
    "locshare --unpack": "of the single file; `make test-binary` runs it",
    "make alert-drill": "takes minutes; tests/monitoring/test_fired.py is its quick part",
    "make bench": "takes minutes; its recipe is parsed",
    "make mutants": "the same",
    "make fuzz": "takes an hour; its recipe is parsed, and tests/fuzz/test_fuzz.py does the same",
    "make fuzz-guided": "the same, and tests/fuzz/test_guided.py",
    "make native-check": "takes minutes; tests/broadcast/test_fan.py is what it runs",
    "make nightly": "takes hours; its recipe is parsed",
    "make bench-solo": "the same",
    "make k6": "takes minutes; its recipe is parsed, and tests/bench/k6 runs the scripts",
    "make conformance": "the same",
    "make docs": "builds the site; tests/documents/test_site.py does",
    ".venv/bin/python": "tests/documents/test_examples.py runs the examples",
    "make audit": "asks the package index; its recipe is parsed",
    "make lint": "part of make test",
    "make lock": "resolves against the package index; its recipe is parsed",
    "make test-lowest": "takes minutes; its recipe is parsed",
    "make types": "part of make test",
    "make unit": "the same",
    "node": "the same",
}
COMMANDS: Final = commands()


def kind_of(command: Command) -> str:
    words = [word for word in command.words if not re.fullmatch(r"[A-Z_]+=\S*", word)]
    if words[:2] == ["python", "-m"] and words[2].endswith("_page"):
        return "page"
    if words[:2] == ["python", "-m"]:
        return "locshare" if words[2] == "locshare" else "bench"
    if f"{words[0]} {words[1]}" in CANNOT_RUN or words[0] in CANNOT_RUN:
        return "cannot run"
    return words[0]


def of_kind(kind: str) -> list[Command]:
    return [command for command in COMMANDS if kind_of(command) == kind]


def each_once(kind: str) -> list[Command]:
    """What several pages show is the same command, and does the same."""
    return list({command.text: command for command in of_kind(kind)}.values())


def text_of(command: Command) -> str:
    return command.text


def test_every_command_is_of_a_kind_that_is_tried_here() -> None:
    kinds = {kind_of(command) for command in COMMANDS}
    assert kinds == {"locshare", "bench", "page", "curl", "make", "ulimit", "cannot run"}


@pytest.mark.parametrize("beginning", CANNOT_RUN)
def test_what_cannot_run_here_is_still_in_the_documents(beginning: str) -> None:
    shown = [command for command in COMMANDS if command.text.startswith(beginning)]
    assert shown, f"nothing shows {beginning!r} any more: remove it from CANNOT_RUN"


@pytest.mark.parametrize("command", of_kind("cannot run"), ids=text_of)
def test_what_a_command_that_cannot_run_names_is_there(command: Command) -> None:
    folder = ROOT / Path(command.page).parent if "k6" in command.page else ROOT
    variables = {setting.variable for setting in all_settings()}
    for word in command.words:
        name, _, _ = word.partition("=")
        if name.startswith("LOCSHARE_"):
            assert name in variables
        if word.endswith((".js", ".mjs", ".py", ".txt")):
            assert (folder / word).exists(), word
    for extras in re.findall(r"\[([\w,]+)\]", command.text):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert set(extras.split(",")) <= set(project["optional-dependencies"])
    if command.words[0] == "make":
        dry_run(command)


def dry_run(command: Command) -> None:
    done = subprocess.run(
        ["make", "-n", *command.words[1:]],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


# --- what measures ----------------------------------------------------------------------------

PARSE = """
import argparse, contextlib, io, json, runpy, sys, warnings
warnings.filterwarnings("ignore", message=".* found in sys.modules", category=RuntimeWarning)
class Parsed(BaseException):
    pass
real = argparse.ArgumentParser.parse_args
def parse(self, args=None, namespace=None):
    real(self, args, namespace)
    raise Parsed
argparse.ArgumentParser.parse_args = parse
sys.path.insert(0, ".")
for line in sys.stdin:
    module, *sys.argv[1:] = json.loads(line)
    said = io.StringIO()
    outcome = "not parsed"
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            runpy.run_module(module, run_name="__main__")
        except Parsed:
            outcome = "parsed"
        except BaseException as error:
            said.write(repr(error))
    print(json.dumps([outcome, said.getvalue()]), flush=True)
"""
PLACEHOLDERS: Final = {"[SCENARIO…]": "", "[NAME…]": "", "RESULTS…": "results.json", "DIR": "dir",
                       "…": ""}  # fmt: skip


def measuring() -> list[Command]:
    """Not the mere name of the program."""
    return [command for command in each_once("bench") if command.text != "python -m bench"]


@pytest.fixture(scope="module")
def parsers() -> Iterator["subprocess.Popen[str]"]:
    """A process that answers each command with what its parser makes of it: most of the time of a
    process for each would go into the imports of the bench.
    """
    process = entrust(subprocess.Popen(
        [sys.executable, "-c", PARSE], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ))  # fmt: skip
    with process:
        yield process


@pytest.mark.parametrize("command", measuring(), ids=text_of)
def test_what_measures_takes_the_arguments_that_are_shown(
    command: Command, parsers: "subprocess.Popen[str]"
) -> None:
    text = command.text
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    words = [word for word in shlex.split(text) if word != "&"]
    while "=" in words[0]:
        words.pop(0)
    module = words[2] if "." in words[2] else f"{words[2]}.__main__"
    assert parsers.stdin is not None
    assert parsers.stdout is not None
    parsers.stdin.write(json.dumps([module, *words[3:]]) + "\n")
    parsers.stdin.flush()
    outcome, said = json.loads(parsers.stdout.readline())
    assert (outcome, said) == ("parsed", "")


@pytest.mark.parametrize("command", of_kind("page"), ids=text_of)
def test_a_page_that_a_command_makes_is_the_one_that_is_there(command: Command) -> None:
    maker = importlib.import_module(command.words[2])
    assert maker.page() == maker.PAGE.read_text(encoding="utf-8")


# --- make -------------------------------------------------------------------------------------


@contextmanager
def stopped(process: "subprocess.Popen[str]") -> Iterator[None]:
    """The process and all that it started are gone after the block."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()


def first_line(process: "subprocess.Popen[str]", having: str) -> str:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if having in line:
            return line
    raise AssertionError("".join(seen))


@pytest.mark.parametrize("command", each_once("make"), ids=text_of)
def test_make_starts_the_demo(command: Command) -> None:
    assert command.text.endswith("make run")
    given = dict(word.split("=", 1) for word in command.words if "=" in word)
    with data_directory() as folder:
        environment = (
            os.environ
            | given
            | {
                "LOCSHARE_DATA_DIR": str(folder),
                "LOCSHARE_HTTP_BIND": f"127.0.0.1:{free_port()}",
                "LOCSHARE_WS_BIND": f"127.0.0.1:{free_port()}",
            }
        )
        # This environment, as it is: a test does not install.
        venv = sys.prefix
        process = entrust(subprocess.Popen(
            ["make", "-o", f"{venv}/.run", f"VENV={venv}", "run"],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ))  # fmt: skip
        with stopped(process):
            link = first_line(process, "/join/").strip()
            assert httpx.get(link).status_code == 200
        assert process.wait() in (0, 2, -signal.SIGTERM)  # make's own word for its end


# --- locshare and curl ------------------------------------------------------------------------


class Reader:
    """Somebody who types what the pages say, on a machine on which a server runs."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.program = program
        self.folder = folder
        scripts = str(Path(sys.executable).parent)
        self.environment = program.environment | {
            "PATH": f"{scripts}:{os.environ['PATH']}",
            "LOCSHARE_LOG_FORMAT": "json",
        }
        self.host: dict[str, Any] = {}

    def create(self) -> str:
        answer = httpx.post(f"{self.program.http_url}/api/sessions", json={})
        assert answer.status_code == 201
        session_id: str = answer.json()["session_id"]
        self.join(session_id)  # whereupon it is in memory
        return session_id

    def receipt(self) -> str:
        """As the server signs one; a test of an hour would be too long for a real one."""
        secret = Path(self.environment["LOCSHARE_DATA_DIR"]) / "jwt_secret"
        return TokenKeys(secret.read_text().strip()).sign_receipt({"rows_left": 0})

    def metric(self, name: str) -> float:
        text = httpx.get(f"{self.program.http_url}/metrics").text
        return float(re.findall(rf"^{name} (\S+)$", text, re.MULTILINE)[0])

    def join(self, session_id: str) -> None:
        url = f"{self.program.http_url}/api/sessions/{session_id}/join"
        assert httpx.post(url, json={"display_name": "Ada"}).status_code == 201

    def start(self, text: str, **environment: str) -> "subprocess.Popen[str]":
        return entrust(subprocess.Popen(
            ["/bin/sh", "-c", text if ">" in text else f"exec env {text}"],
            cwd=self.folder, env=self.environment | environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ))  # fmt: skip


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with data_directory() as data:
        settings = {"LOCSHARE_DATA_DIR": str(data)}
        with running_program(settings, ("--faults",)) as program:
            yield Reader(program, tmp_path_factory.mktemp("reader"))


@pytest.mark.parametrize("command", each_once("locshare"), ids=text_of)
def test_a_command_of_locshare_does_what_it_is_shown_for(command: Command, reader: Reader) -> None:
    words = [word for word in command.words if not re.match(r"[A-Z_]+=", word)]
    name = words[3] if words[0] == "python" else words[1]
    if name == "serve":
        serve(command, reader)
        return
    text = prepared(command.text, reader)
    if name == "restore":
        restore(text, reader)
        return
    if name == "simulate" and "--help" not in text:
        text += f" --url {reader.program.http_url}"
    session = reader.create()
    text = text.replace("6f1c9d0e", session[:8])
    lasting = "--trace" in text or "--count" in text
    sent = reader.metric("locshare_positions_sent_total")
    process = reader.start(text)
    with stopped(process):
        if "--trace" in text:
            wait_for_output(process, partial(reader.join, session))
        elif name == "simulate" and "--help" not in text:
            while reader.metric("locshare_positions_sent_total") == sent:
                assert process.poll() is None
            process.send_signal(signal.SIGINT)  # as a reader would who has seen enough
            out, _ = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, out
        elif lasting:
            assert json.loads(first_line(process, "{"))["root"]
        else:
            out, _ = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, out
    if name == "defaultconfig" and ">" in text:
        assert tomllib.loads((reader.folder / "locshare.toml").read_text()) is not None


def prepared(text: str, reader: Reader) -> str:
    """The command, with the files that it reads in place, and without a wait for minutes."""
    if "--config" in text:
        (reader.folder / "locshare.toml").touch()
    if "--show-receipt" in text:
        (reader.folder / "receipt.txt").write_text(reader.receipt())
    if "locshare backup" in text:
        (reader.folder / "locshare.backup").unlink(missing_ok=True)
    # A machine of tests has warnings: tests/maintenance/test_doctor.py is strict.
    return text.replace("--idle 120", "--idle 0.1").replace(" --strict", "")


def restore(text: str, reader: Reader) -> None:
    """On another machine, to which the file was brought."""
    (reader.folder / "locshare.backup").unlink(missing_ok=True)
    made = reader.start("locshare backup --with-key locshare.backup")
    out, _ = made.communicate(timeout=PATIENCE_S)
    assert made.returncode == 0, out
    with data_directory() as data:
        process = reader.start(text, LOCSHARE_DATA_DIR=str(data))
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, out


def wait_for_output(process: "subprocess.Popen[str]", poke: Callable[[], None]) -> None:
    """``poke`` again and again, until the process says something of it."""
    assert process.stdout is not None
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    while True:
        poke()
        if poll.poll(200):
            assert process.poll() is None, process.stdout.read()
            return


def serve(command: Command, reader: Reader) -> None:
    with data_directory() as data:
        if "--config" in command.text:
            (reader.folder / "locshare.toml").touch()
        text, binds = (
            command.text,
            {
                "LOCSHARE_HTTP_BIND": f"127.0.0.1:{free_port()}",
                "LOCSHARE_WS_BIND": f"127.0.0.1:{free_port()}",
            },
        )
        if "LOCSHARE_BIND=" in text:  # one port for all
            text = f"-u LOCSHARE_HTTP_BIND -u LOCSHARE_WS_BIND {text}"
            text = text.replace(":8080", f":{free_port()}")
        process = reader.start(text, LOCSHARE_DATA_DIR=str(data), **binds)
        with stopped(process):
            assert json.loads(first_line(process, '"event":"ready"'))["http"]
        assert process.wait() == 0


@pytest.mark.parametrize("command", of_kind("ulimit"), ids=text_of)
def test_a_shell_knows_it(command: Command) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", command.text], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0


@pytest.mark.parametrize("page", sorted({command.page for command in of_kind("curl")}))
def test_the_calls_of_a_page_answer_as_it_says(page: str, reader: Reader) -> None:
    answers = dict(_answers((ROOT / page).read_text(encoding="utf-8")))
    known = {"0b8e…": "", "eyJ…": "", "eyP…": "", "K7Q2-9XW4-B3HN": ""}
    for command in of_kind("curl"):
        if command.page != page:
            continue
        text = command.text.replace("http://127.0.0.1:8080", reader.program.http_url)
        for placeholder, value in known.items():
            text = text.replace(placeholder, value)
        method, url, headers, body = _curl(shlex.split(text))
        answer = httpx.request(method, url, headers=headers, content=body)
        assert answer.is_success, answer.text
        expected = answers[command.text]
        assert _shape(answer.json()) == _shape(expected)
        if "session_id" in answer.json():
            known["0b8e…"] = answer.json()["session_id"]
            known["eyJ…"] = answer.json()["host_token"]
        if "websocket_token" in answer.json():
            known["eyP…"] = answer.json()["websocket_token"]
            known["K7Q2-9XW4-B3HN"] = answer.json()["setup"]["code"]


def _answers(page: str) -> Iterator[tuple[str, Any]]:
    """What each call is shown to answer."""
    for block in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for call in block.replace("\\\n", " ").split("$ ")[1:]:
            line, _, answer = call.strip().partition("\n")
            yield re.sub(r"\s+", " ", line), json.loads(answer)


def _curl(words: list[str]) -> tuple[str, str, dict[str, str], str | None]:
    method, url, headers, body = "GET", "", {}, None
    rest = iter(words[1:])
    for word in rest:
        match word:
            case "-X":
                method = next(rest)
            case "-H":
                name, _, value = next(rest).partition(": ")
                headers[name] = value
            case "-d":
                body = next(rest)
            case _:
                url = word
    return method, url, headers, body


def _shape(value: Any) -> Any:
    """Names and types, without the values."""
    if isinstance(value, dict):
        return {key: _shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_shape(each) for each in value]
    return type(value)


def test_the_example_of_faults_runs_on_a_session_that_is_there(reader: Reader) -> None:
    page = (ROOT / "docs" / "guides" / "faults.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    socket = Path(reader.program.environment["LOCSHARE_DATA_DIR"]) / "control.sock"
    program = (
        example.replace('Path(".data/control.sock")', f"Path({str(socket)!r})").replace(
            "trio.sleep(5)", "trio.sleep(0)"
        )
        + f"\ntrio.run(main, {reader.create()!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
