"""The examples of the guide for home automation do what they say: the text of the document itself
is run, against the real program.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml  # type: ignore[import-untyped]
from jinja2 import Environment

from bench.guardian import entrust
from tests.documents.pages import ROOT
from tests.node import NODE
from tests.npm import PACKAGES, installed
from tests.program import Program, data_directory, free_port, running_program
from tests.running import LAST_RESORT_S

pytestmark = pytest.mark.e2e

GUIDE: Final = (ROOT / "docs/guides/ingest.md").read_text(encoding="utf-8")
DOCUMENTED: Final = "https://where.example/api/sessions/0b8e…"
VAN: Final = {"latitude": 47.3769, "longitude": 8.5417, "gps_accuracy": 12}


def block(heading: str, language: str) -> str:
    section = GUIDE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with data_directory() as folder, running_program({"LOCSHARE_DATA_DIR": str(folder)}) as started:
        yield started


class Van:
    """A participant who reports, and somebody who looks."""

    def __init__(self, client: httpx.Client, origin: str) -> None:
        self._http = client
        session = self._http.post("/api/sessions").json()["session_id"]
        self.path = f"/api/sessions/{session}"
        self.url = f"{origin}{self.path}"
        self.code = self._join("The van")["setup"]["code"]
        self._viewer = self._join("Ada")["websocket_token"]

    def _join(self, name: str) -> dict[str, Any]:
        joined: dict[str, Any] = self._http.post(
            f"{self.path}/join", json={"display_name": name}
        ).json()
        return joined

    def seen(self) -> list[tuple[float, float]]:
        """Where a participant finds it."""
        answer = self._http.post(
            "/api/owntracks",
            json={"_type": "location", "lat": 0, "lon": 0},
            headers={"Authorization": f"Bearer {self._viewer}"},
        )
        return [(m["lat"], m["lon"]) for m in answer.json() if m["_type"] == "location"]


@pytest.fixture
def van(program: Program) -> Iterator[Van]:
    with httpx.Client(base_url=program.http_url) as client:
        yield Van(client, program.http_url)


class _Secrets(yaml.SafeLoader):  # type: ignore[misc]  # the library has no types
    """YAML as Home Assistant reads it: ``!secret`` is a value of another file."""


def test_home_assistant_reports_the_tracker(van: Van) -> None:
    _Secrets.add_constructor("!secret", lambda _loader, _node: f"Bearer {van.code}")
    text = block("Home Assistant", "yaml").replace(DOCUMENTED, van.url)
    settings = yaml.load(text, _Secrets)  # noqa: S506 - a subclass of SafeLoader
    templates = Environment(autoescape=False)  # noqa: S701 - as there
    templates.globals["state_attr"] = lambda entity, name: (
        VAN.get(name) if entity == "device_tracker.van" else None
    )
    (action,) = settings["automation"][0]["actions"]
    domain, command = action["action"].split(".")
    data = {name: templates.from_string(each).render() for name, each in action["data"].items()}
    call = settings[domain][command]
    answer = httpx.request(
        call["method"].upper(),
        call["url"],
        headers={**call["headers"], "content-type": call["content_type"]},
        content=templates.from_string(call["payload"]).render(data),
    )
    assert answer.json() == {"success": True}
    assert van.seen() == [(VAN["latitude"], VAN["longitude"])]


@pytest.fixture(scope="module")
def node_red() -> Path:
    return installed(PACKAGES / "node_red")


def test_node_red_reports_what_flows_in(van: Van, node_red: Path, tmp_path: Path) -> None:
    port = free_port()
    function = block("Node-RED", "javascript").replace(DOCUMENTED, van.url)
    nodes: list[dict[str, Any]] = [
        {"id": "tab", "type": "tab", "label": "van"},
        {"id": "in", "type": "http in", "url": "/fix", "method": "post", "wires": [["fix"]]},
        {"id": "fix", "type": "function", "func": function, "outputs": 1, "wires": [["ask"]]},
        {"id": "ask", "type": "http request", "method": "POST", "ret": "obj", "wires": [["out"]]},
        {"id": "out", "type": "http response", "wires": []},
    ]
    for node in nodes[1:]:
        node["z"] = "tab"
    flows = tmp_path / "flows.json"
    flows.write_text(json.dumps(nodes))
    command = [NODE, str(node_red / "node_modules/node-red/red.js"), "--userDir", str(tmp_path)]
    command += ["--port", str(port), "-D", "uiHost=127.0.0.1", str(flows)]
    environment = {"LOCATION_TOKEN": van.code, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    with entrust(
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    ) as process:
        try:
            assert process.stdout is not None
            assert any("Started flows" in line for line in process.stdout)
            fix = {"latitude": VAN["latitude"], "longitude": VAN["longitude"], "accuracy": 12}
            answer = httpx.post(f"http://127.0.0.1:{port}/fix", json=fix, timeout=LAST_RESORT_S)
            assert answer.json() == {"success": True}
            assert van.seen() == [(VAN["latitude"], VAN["longitude"])]
        finally:
            process.kill()
