"""deploy/compose in a real engine: `make test-compose`.

The server's image is that of `make container`. What Debian has takes the place of the registry's
images (tests/shipped/engine.py); Grafana is not to be had and stays away.
"""

import json
import os
import re
import resource
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import trio

from bench.guardian import temporary_folder
from tests.running import LAST_RESORT_S
from tests.shipped.engine import Engine, is_possible, running_engine, services
from tests.shipped.group import meet

REPOSITORY: Final = Path(__file__).parents[2]
ROOT: Final = Path(os.environ["COMPOSE_ROOT"]).resolve()
PLUGIN: Final = Path(os.environ["COMPOSE_PLUGIN"])
SITE: Final = "https://localhost"
STARTED_LATE_S: Final = 580.0
"""Building an image and starting all of it, on a busy machine."""
ENVIRONMENT: Final = {
    "SITE": "localhost",
    "CADDY_OPTIONS": "local_certs",
    "COMPOSE_PROFILES": "database,monitoring",
    "POSTGRES_PASSWORD": "letters4711",
    "LOCSHARE_DATABASE_URL": "postgresql://locshare:${POSTGRES_PASSWORD}@postgres/locshare",
}
BESIDE: Final = ("caddy", "postgres", "prometheus", "alertmanager")


class Stack:
    """The file of Compose, with an .env beside it, in the engine."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self._folder = folder

    def configure(self, **values: str) -> None:
        """Write .env as an operator does."""
        lines = [f"{name}={value}\n" for name, value in values.items()]
        (self._folder / ".env").write_text("".join(lines))

    def compose(self, *arguments: str) -> str:
        """What ``docker compose`` wrote, run in the folder of the file."""
        folder = ("--project-directory", str(self._folder))
        return self.engine.docker("compose", *folder, *arguments, timeout=STARTED_LATE_S)

    def up(self) -> float:
        """Start what there is an image of. Returns the seconds until all of it was healthy."""
        began = time.monotonic()
        self.compose("up", "--detach", "--wait", "--no-build", "locshare", *BESIDE)
        return time.monotonic() - began

    def container(self, service: str) -> dict[str, Any]:
        """What the engine knows of the container."""
        return self.engine.inspect(self.compose("ps", "--all", "--quiet", service).strip())

    def run(self, service: str, *command: str) -> str:
        """What ``command`` wrote in the container."""
        return self.compose("exec", "-T", service, *command)

    def authority(self) -> ssl.SSLContext:
        """Trust in Caddy's own authority, which is copied from its volume as for a phone."""
        path = "/data/caddy/pki/authorities/local/root.crt"
        deadline = time.monotonic() + LAST_RESORT_S
        while time.monotonic() < deadline:
            text = self.compose(
                "exec", "-T", "caddy", "sh", "-c", f"cat {path} 2>/dev/null || true"
            )
            if "END CERTIFICATE" in text:
                return ssl.create_default_context(cadata=text)
            time.sleep(0.2)
        raise AssertionError(self.compose("logs", "caddy"))

    def meet(self) -> str:
        """A group on the map over TLS, from outside of the containers."""
        trust = self.authority()
        return self.engine.call(lambda: trio.run(_meet_when_there_is_a_certificate, trust))

    def has(self, session: str) -> bool:
        """Whether the server knows the session."""
        trust = self.authority()

        def ask() -> bool:
            with httpx.Client(base_url=SITE, verify=trust, timeout=LAST_RESORT_S) as http:
                return http.get(f"/api/sessions/{session}").status_code == 200

        return self.engine.call(ask)


async def _meet_when_there_is_a_certificate(trust: ssl.SSLContext) -> str:
    with trio.fail_after(LAST_RESORT_S):
        while True:
            try:
                return await meet(SITE, trust)
            except httpx.ConnectError:
                await trio.sleep(0.1)
    raise AssertionError


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Everything but Grafana, started; with an external PostgreSQL."""
    if why := is_possible():
        pytest.skip(why)
    with running_engine() as engine, temporary_folder("locshare-compose-") as folder:
        plugins = engine.folder / "config" / "cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-compose").symlink_to(PLUGIN)
        shutil.copytree(REPOSITORY / "deploy", folder / "deploy")
        known = services(folder / "deploy" / "compose" / "compose.yaml")
        engine.make_images(ROOT, {name: known[name]["image"] for name in BESIDE})
        _load_image(engine)
        made = Stack(engine, folder / "deploy" / "compose")
        _fit_limit(folder / "deploy" / "compose" / "compose.override.yaml")
        made.configure(**ENVIRONMENT)
        yield made
        made.compose("down", "--timeout", "40")


def _fit_limit(override: Path) -> None:
    """No more open files than the engine may give, where it may not raise its own limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = services(REPOSITORY / "deploy" / "compose" / "compose.yaml")["locshare"]["ulimits"]
    if hard != resource.RLIM_INFINITY and hard < wanted["nofile"]:
        override.write_text(f"services: {{locshare: {{ulimits: {{nofile: {hard}}}}}}}\n")


def _load_image(engine: Engine) -> None:
    """The image of tools/container.sh, with its base from debootstrap, in the engine's folder."""
    storage = ("--root", str(engine.folder / "storage"), "--runroot", str(engine.folder / "run"))
    archive = engine.folder / "image.tar"
    wrapper = engine.folder / "bin"
    wrapper.mkdir()
    (wrapper / "buildah").write_text(
        f'#!/bin/sh\nexec {shutil.which("buildah")} {" ".join(storage)} "$@"\n'
    )
    (wrapper / "buildah").chmod(0o755)
    path = f"{wrapper}:{os.environ['PATH']}"
    built = subprocess.run(
        ["sh", "tools/container.sh"], cwd=REPOSITORY, capture_output=True, text=True, check=False,
        env=os.environ | {"BASE_ROOT": str(ROOT), "PATH": path}, timeout=STARTED_LATE_S,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    target = f"docker-archive:{archive}:locshare:latest"
    subprocess.run(
        ["buildah", "push", "--quiet", "locshare:latest", target], check=True,
        env=os.environ | {"PATH": path, "STORAGE_DRIVER": "vfs"}, timeout=STARTED_LATE_S,
    )  # fmt: skip
    engine.docker("load", "--input", archive, timeout=STARTED_LATE_S)


def test_up_waits_until_a_group_can_meet_over_tls(stack: Stack) -> None:
    took = stack.up()
    stack.meet()
    image = stack.engine.inspect("locshare:latest")
    name = stack.container("locshare")["Name"]
    memory = stack.engine.docker("stats", "--no-stream", "--format", "{{.MemUsage}}", name)
    sys.stderr.write(
        f"\nall healthy after {took:.1f} s; image {image['Size'] / 1e6:.0f} MB; {memory}"
    )


def test_sessions_are_in_the_database_of_its_own_container(stack: Stack) -> None:
    said = stack.run("postgres", "psql", "--username=locshare", "--tuples-only",
                     "--command=SELECT count(*) FROM sessions")  # fmt: skip
    assert int(said) >= 1
    files = stack.run("locshare", "/bin/sh", "-c", "echo /var/lib/locshare/data/*")
    assert "postgres" not in files


def test_the_container_has_the_limits_of_the_file(stack: Stack) -> None:
    status = stack.run(
        "locshare", "/bin/sh", "-c", 'while read -r l; do echo "$l"; done </proc/1/status'
    )
    found = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    assert found["Uid"].split() == ["10001"] * 4
    assert {found[name].strip() for name in ("CapEff", "CapBnd", "CapPrm")} == {"0" * 16}
    assert (found["NoNewPrivs"].strip(), found["Seccomp"].strip()) == ("1", "2")
    host = stack.container("locshare")["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert (host["Memory"], host["PidsLimit"]) == (2 << 30, 256)
    said = stack.run(
        "locshare", "/bin/sh", "-c", "(echo x >/opt/x) 2>&1; echo x >/tmp/x && echo tmp"
    )
    assert ("Read-only" in said, "tmp" in said) == (True, True), said


def test_strangers_reach_the_proxy_alone(stack: Stack) -> None:
    trust = stack.authority()

    def ask() -> tuple[int, str]:
        with httpx.Client(base_url=SITE, verify=trust, timeout=LAST_RESORT_S) as http:
            metrics = http.get("/metrics").status_code
        plain = httpx.get("http://localhost/", timeout=LAST_RESORT_S)
        return metrics, plain.headers["location"]

    assert stack.engine.call(ask) == (404, "https://localhost/")
    assert not stack.container("locshare")["HostConfig"]["PortBindings"]


def test_the_doctor_finds_the_container_and_its_database_right(stack: Stack) -> None:
    """All but the public address, which is this machine's and not the container's."""
    found = json.loads(stack.run("locshare", "sh", "-c", "locshare doctor --json || true"))[
        "findings"
    ]
    wrong = {each["check"] for each in found if each["level"] == "error"}
    assert wrong <= {"public"}, found
    assert {"settings", "key", "disk", "database", "database rights"} <= {
        each["check"] for each in found if each["level"] == "ok"
    }


def test_prometheus_scrapes_it_and_knows_the_alert_manager(stack: Stack) -> None:
    def ask(path: str, *more: str) -> dict[str, Any]:
        url = f"http://localhost:9090/api/v1/{path}"
        said = stack.run("prometheus", "curl", "--silent", "--get", *more, url)
        data: dict[str, Any] = json.loads(said)["data"]
        return data

    def is_up() -> bool:
        query = 'query=up{job="locshare"} == 1'
        return bool(ask("query", "--data-urlencode", query)["result"])

    deadline = time.monotonic() + LAST_RESORT_S
    while not is_up():
        assert time.monotonic() < deadline, stack.compose("logs", "prometheus")
        time.sleep(0.5)
    assert ask("rules")["groups"]
    (manager,) = ask("alertmanagers")["activeAlertmanagers"]
    assert "alertmanager:9093" in manager["url"]


def test_a_new_container_goes_on_with_the_sessions(stack: Stack) -> None:
    session = stack.meet()
    before = stack.container("locshare")["Id"]
    stack.compose(
        "up", "--detach", "--wait", "--no-build", "--no-deps", "--force-recreate", "locshare"
    )
    assert stack.container("locshare")["Id"] != before
    assert stack.has(session)


def test_stop_is_orderly(stack: Stack) -> None:
    stack.compose("stop", "locshare")
    assert stack.container("locshare")["State"]["ExitCode"] == 0
    stack.compose("start", "locshare")


def test_the_embedded_database_is_on_the_volume(stack: Stack) -> None:
    stack.compose("down", "--timeout", "40")
    stack.configure(**{name: ENVIRONMENT[name] for name in ("SITE", "CADDY_OPTIONS")})
    began = time.monotonic()
    stack.compose("up", "--detach", "--wait", "--no-build", "locshare", "caddy")
    took = time.monotonic() - began
    session = stack.meet()
    (ready,) = [
        json.loads(line)
        for line in re.findall(r"\{.*\}", stack.compose("logs", "--no-log-prefix", "locshare"))
        if '"event":"ready"' in line
    ]
    sys.stderr.write(f"\nhealthy after {took:.1f} s, ready after {ready['seconds']} s\n")
    stack.compose("up", "--detach", "--wait", "--no-build", "--force-recreate", "locshare")
    assert stack.has(session)
