"""What kustomize really makes of deploy/kubernetes, and kubeconform finds valid. No package of them
is to be had: `make test-kubernetes` builds both.
"""

import json
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import kubernetes_validate
import pytest
import yaml  # type: ignore[import-untyped]

from tests.deploy.test_kubernetes import FOLDER, OVERLAYS, VERSION, resources


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_builds_it(overlay: str) -> None:
    for built in kustomized(FOLDER / overlay):
        kubernetes_validate.validate(built, VERSION, strict=True)


def test_kustomize_builds_it_with_a_database_elsewhere(tmp_path: Path) -> None:
    """As an operator does: a copy of the example, with its commented lines."""
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
