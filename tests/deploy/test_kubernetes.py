"""The manifests of deploy/kubernetes, against the schemas of Kubernetes.

What kustomize makes of them is put together here as it does, for what these files use of it: they
are plain resources, and the labels that the kustomization adds. What it really makes is
looked at by tests/shipped/test_kustomize.py (`make test-kubernetes`).
"""

from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml  # type: ignore[import-untyped]

from locshare.config import Settings, load, parse_bind

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "kubernetes"
VERSION: Final = "1.33"
NO_RESOURCES: Final = {"Kustomization", "Component"}
OVERLAYS: Final = ("base", "example")


def resources() -> list[dict[str, Any]]:
    return [
        document
        for path in sorted(FOLDER.rglob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
        if document["kind"] not in NO_RESOURCES
    ]


def one(kind: str, name: str = "locshare") -> dict[str, Any]:
    (found,) = [
        each for each in resources() if each["kind"] == kind and each["metadata"]["name"] == name
    ]
    return found


def kustomization(folder: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / folder / "kustomization.yaml").read_text())
    return loaded


def settings() -> Settings:
    lines = [
        line
        for folder in OVERLAYS
        for generator in kustomization(folder)["configMapGenerator"]
        for line in generator["literals"]
    ]
    return load(dict(line.split("=", 1) for line in lines)).settings


@pytest.mark.parametrize(
    "resource", resources(), ids=lambda each: f"{each['kind']}-{each['metadata']['name']}"
)
def test_every_resource_is_valid(resource: dict[str, Any]) -> None:
    if resource["kind"] == "Deployment":  # kustomize adds them
        labels = {"app.kubernetes.io/name": "locshare"}
        resource["spec"]["selector"] = {"matchLabels": labels}
        resource["spec"]["template"]["metadata"] = {"labels": labels}
    kubernetes_validate.validate(resource, VERSION, strict=True)


def test_every_file_is_in_a_kustomization() -> None:
    for path in FOLDER.rglob("*.yaml"):
        if path.name != "kustomization.yaml":
            assert path.name in kustomization(path.parent.name)["resources"]


def test_the_ports_of_the_pod_are_those_of_its_settings() -> None:
    (container,) = one("Deployment")["spec"]["template"]["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    found = settings()
    assert ports == {
        "http": parse_bind(found.bind or "")[1],
        "internal": parse_bind(found.internal_bind or "")[1],
    }
    assert str(found.data_dir) in {each["mountPath"] for each in container["volumeMounts"]}
    name = one("Service", "locshare-internal")["metadata"]["name"]
    space = kustomization("example")["namespace"]
    inside = {name, f"{name}.{space}", f"{name}.{space}.svc", f"{name}.{space}.svc.cluster.local"}
    assert {*found.internal_hosts} == inside, "as a Prometheus of another namespace asks"


def test_there_is_one_replica_and_never_two_at_once() -> None:
    spec = one("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
    assert one("PodDisruptionBudget")["spec"]["minAvailable"] == 1


def test_the_pod_may_take_as_long_as_the_stop() -> None:
    from locshare.cli.serve import _BEYOND_DRAIN_S

    patience = Settings().connections.drain_deadline + _BEYOND_DRAIN_S
    spec = one("Deployment")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] > patience


def test_an_outage_of_the_database_does_not_take_the_only_pod_away() -> None:
    (container,) = one("Deployment")["spec"]["template"]["spec"]["containers"]
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] == "/health/live"


def test_selectors_are_those_of_the_pod() -> None:
    labels = {"app.kubernetes.io/name": "locshare"}
    assert kustomization("base")["labels"] == [{"pairs": labels, "includeSelectors": True}]
    assert one("PodDisruptionBudget")["spec"]["selector"] == {"matchLabels": labels}
    assert one("NetworkPolicy")["spec"]["podSelector"] == {"matchLabels": labels}
