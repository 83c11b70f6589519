"""The manifests of deploy/kubernetes, against the schemas of Kubernetes.

What kustomize makes of them is put together here as it does, for what these files use of it: they
are plain resources, and the labels that the kustomization adds. Where kustomize and kubeconform are
(`make test-kubernetes`), these build and judge them too.
"""

import json
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
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


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_builds_it(overlay: str) -> None:
    if shutil.which("kustomize") is None:
        return  # no package of it is to be had; `make test-kubernetes` builds it
    for built in kustomized(FOLDER / overlay):
        kubernetes_validate.validate(built, VERSION, strict=True)


def test_kustomize_builds_it_with_a_database_elsewhere(tmp_path: Path) -> None:
    """As an operator does: a copy of the example, with its commented lines."""
    if shutil.which("kustomize") is None:
        return
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    file = tmp_path / "kubernetes" / "example" / "kustomization.yaml"
    text = file.read_text()
    file.write_text(text.replace("# components:", "components:").replace("#   - ../", "  - ../"))
    built = {each["kind"]: each for each in kustomized(file.parent)}
    for each in built.values():
        kubernetes_validate.validate(each, VERSION, strict=True)
    (container,) = built["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert [each["name"] for each in container["env"]] == ["LOCSHARE_DATABASE_URL"]
    ports = {port["port"] for rule in built["NetworkPolicy"]["spec"]["egress"]
             for port in rule["ports"]}  # fmt: skip
    assert ports == {53, 5432}


def kustomized(folder: Path) -> list[dict[str, Any]]:
    """What kustomize makes of a folder, which kubeconform finds valid."""
    done = subprocess.run(
        ["kustomize", "build", folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    built = [*yaml.safe_load_all(done.stdout)]
    if shutil.which("kubeconform") is not None:
        with TemporaryDirectory() as schemas:
            _write_schemas(Path(schemas))
            judged = subprocess.run(
                ["kubeconform", "-strict", "-summary", "-schema-location",
                 f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"],
                input=done.stdout, capture_output=True, text=True, check=False,
            )  # fmt: skip
        assert (judged.returncode, judged.stderr) == (0, ""), judged.stdout
        assert f"Valid: {len(built)}" in judged.stdout
    return built


def _write_schemas(folder: Path) -> None:
    """Those of the package, each with the definitions that it refers to in it."""
    (found,) = Path(kubernetes_validate.__file__).parent.glob(f"*/v{VERSION}.*-local-strict")
    definitions = json.loads((found / "_definitions.json").read_text())["$defs"]
    kinds = {each["kind"].lower() for each in resources()} | {"configmap"}
    for path in found.glob("*.json"):
        if path.stem.split("-")[0] in kinds:
            schema = json.loads(path.read_text()) | {"$defs": definitions}
            del schema["$id"]
            text = json.dumps(schema).replace('"/api/_definitions.json#', '"#')
            (folder / path.name).write_text(text)


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
