"""deploy/compose, against the Compose specification; its Caddyfile, read by Caddy."""

import ipaddress
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]
from compose_spec.models import ComposeSpecification

from locshare.cli.serve import _BEYOND_DRAIN_S
from locshare.config import Settings, load
from tests.monitoring.rules import RULES
from tests.proxies import find

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "compose"
ENVIRONMENT: Final = {
    "SITE": "where.example",
    "COMPOSE_PROFILES": "database,monitoring",
    "LOCSHARE_DATABASE_URL": "postgresql://locshare:x@postgres/locshare",
}


def interpolated() -> dict[str, Any]:
    """As Compose replaces variables: ``${NAME}``, ``${NAME:-default}``, ``${NAME:?message}``."""
    text = re.sub(
        r"\$\{(\w+)(?::[-?]([^}]*))?\}",
        lambda found: ENVIRONMENT.get(found[1], found[2] or ""),
        (FOLDER / "compose.yaml").read_text(),
    )
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def service(name: str = "locshare") -> dict[str, Any]:
    found: dict[str, Any] = interpolated()["services"][name]
    return found


def test_it_is_of_the_specification_and_has_no_key_that_this_does_not_know() -> None:
    document = interpolated()
    model = ComposeSpecification.model_validate(document)
    unknown = {
        f"{name}.{key}"
        for name, each in document["services"].items()
        for key in each
        if key not in _keys((model.services or {})[name])
    }
    assert unknown == set()


def _keys(model: Any) -> set[str]:
    fields = type(model).model_fields
    return {*fields} | {each.alias for each in fields.values() if each.alias}


def test_networks_volumes_and_dependencies_are_there() -> None:
    document = interpolated()
    for each in document["services"].values():
        assert {*each["networks"]} <= {*document["networks"]}
        assert {*each.get("depends_on", ())} <= {*document["services"]}
        for volume in each.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in document["volumes"] or source.startswith(".")


def test_the_servers_settings_are_settings_and_it_trusts_the_network_of_caddy() -> None:
    of_the_image = {"PORT": "8080"}
    settings = load(service()["environment"] | of_the_image).settings
    (subnet,) = interpolated()["networks"]["front"]["ipam"]["config"]
    assert [ipaddress.ip_network(each) for each in settings.trusted_proxies] == [
        ipaddress.ip_network(subnet["subnet"])
    ]
    assert "front" in service("caddy")["networks"]
    assert "ports" not in service(), "the world reaches Caddy alone"


def test_nobody_but_caddy_is_in_the_network_that_is_believed() -> None:
    services = interpolated()["services"]
    assert {name for name, each in services.items() if "front" in each["networks"]} == {
        "locshare", "caddy",
    }  # fmt: skip


def test_who_tells_of_alerts_and_whose_port_is_published_has_a_way_out() -> None:
    """An internal network leads nowhere: no mail is sent from it, no port published."""
    networks = interpolated()["networks"]
    for name, each in interpolated()["services"].items():
        if name == "alertmanager" or "ports" in each:
            assert [of for of in each["networks"] if not (networks[of] or {}).get("internal")], name


def test_prometheus_keeps_as_much_as_its_rules_look_back() -> None:
    (kept,) = re.findall(r"retention\.time=(\d+)d", " ".join(service("prometheus")["command"]))
    looked = [int(days) for path in RULES for days in re.findall(r"\[(\d+)d\]", path.read_text())]
    assert int(kept) > max(looked)


@pytest.mark.parametrize(("password", "status"), [("", 1), ("letters4711", 0)])
def test_grafana_does_not_start_with_the_password_that_everybody_knows(
    password: str, status: int
) -> None:
    shell, flag, script = service("grafana")["entrypoint"]
    script = script.replace("$$", "$").replace("exec /run.sh", "exit 0")  # $$ is Compose's $
    done = subprocess.run(
        [shell, flag, script], env={"GF_SECURITY_ADMIN_PASSWORD": password},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "GRAFANA_PASSWORD" in done.stderr) == (status, not password)


def test_it_may_take_as_long_as_the_stop() -> None:
    patience = Settings().connections.drain_deadline + _BEYOND_DRAIN_S
    assert int(service()["stop_grace_period"].removesuffix("s")) > patience


@pytest.mark.parametrize("options", ["", "local_certs"])
def test_caddy_reads_its_file(options: str, tmp_path: Path) -> None:
    caddy = find("caddy")
    if caddy is None:
        pytest.skip("caddy is not installed")
    done = subprocess.run(
        [caddy, "validate", "--adapter", "caddyfile", "--config", FOLDER / "Caddyfile"],
        env=os.environ | {"SITE": "where.example", "CADDY_OPTIONS": options, "HOME": str(tmp_path),
                          "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_variable_is_explained_in_the_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", (FOLDER / "compose.yaml").read_text()))
    used |= set(re.findall(r"\{\$(\w+)\}", (FOLDER / "Caddyfile").read_text()))
    explained = (FOLDER / "env.example").read_text()
    assert {name for name in used if not re.search(rf"^#?{name}=", explained, re.MULTILINE)} == {
        "LOCSHARE_IMAGE"
    }
