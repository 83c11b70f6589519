"""The OpenAPI document: it has what the server has, and the server does what it says."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from locshare.config import Settings
from locshare.contract.openapi import openapi
from locshare.contract.operations import OPERATIONS
from locshare.http.problems import ProblemCode
from locshare.server.tree import Application
from locshare.web.built import read_files
from tests.documents.pages import ROOT
from tests.program import Program, data_directory, running_program

PAGES = {
    "/", "/join", "/join/{rest}", "/favicon.ico", "/docs", "/docs/style.css", "/openapi.json",
    "/asyncapi.json", *(f"/{name}" for name in read_files() if "/" not in name),
}  # fmt: skip
"""What people open, and the documents themselves: no calls."""


def test_the_document_follows_the_standard() -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator  # every worker imports this file

    assert [*OpenAPIV31SpecValidator(openapi()).iter_errors()] == []


def test_the_document_has_each_route_of_the_server_and_no_other(tmp_path: Path) -> None:
    app = Application(Settings(data_dir=tmp_path))._rest()
    served = set()
    for rule in app.url_map.iter_rules():
        path = rule.rule
        for converter in ("anything:", "path:", "string:"):
            path = path.replace(converter, "")
        path = path.replace("<session>", "<session_id>").replace("<", "{").replace(">", "}")
        if not path.startswith(("/assets/", "/world")) and path not in PAGES:
            served |= {(method, path) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert {(each.method, each.path) for each in OPERATIONS} == served


def test_every_code_that_the_api_refuses_with_is_in_the_document() -> None:
    named = {code for each in OPERATIONS for codes in each.refused.values() for code in codes}
    other = {
        ProblemCode.METHOD_NOT_ALLOWED,  # of no call
        ProblemCode.WRONG_HOST,  # of the internal port
    }
    assert set(ProblemCode) - named == other


def test_each_operation_has_a_name_of_its_own() -> None:
    names = [each.id for each in OPERATIONS]
    assert len(set(names)) == len(names)


def test_each_call_may_be_answered_with_400_500_and_503() -> None:
    for methods in openapi()["paths"].values():
        for each in methods.values():
            assert {"400", "500", "503"} <= set(each["responses"])


# --- the real server --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with data_directory() as data:
        limits = {f"LOCSHARE_{each}_BURST": "1000000" for each in ("CREATE", "JOIN", "READ")}
        with running_program({"LOCSHARE_DATA_DIR": str(data), **limits}) as program:
            yield program


@pytest.mark.e2e
def test_the_server_answers_as_the_document_says_to_all_that_it_allows_and_forbids(
    program: Program, tmp_path: Path
) -> None:
    """Statuses, media types, headers, bodies; what is valid is accepted, what is not is refused;
    methods that are not there; calls without a token. Every call succeeds at least once.
    """
    answers = tmp_path / "answers.json"
    done = subprocess.run(
        [
            shutil.which("st", path=str(Path(sys.executable).parent)) or "st",
            "run", f"{program.http_url}/openapi.json", "--url", program.http_url,
            "--checks", "all", "--max-examples", "4", "--seed", "13",
            "--generation-database", "none", "--no-color",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=250,
        env=os.environ | {
            "SCHEMATHESIS_HOOKS": "tests.contract.schemathesis_hooks",
            "PYTHONPATH": str(ROOT),
            "SERVER": program.http_url,
            "ANSWERS": str(answers),
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    statuses: dict[str, dict[str, Any]] = json.loads(answers.read_text())
    succeeded = {each.id for each in OPERATIONS if statuses[each.id].get(str(each.status))}
    assert {each.id for each in OPERATIONS} - succeeded == {"becomeHost"}  # nobody guesses a key
    assert program.events("request_failed") == []
