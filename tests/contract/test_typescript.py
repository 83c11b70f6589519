"""The TypeScript that is made from the contract."""

import json
import subprocess
from pathlib import Path

import pytest

from locshare.contract import typescript
from locshare.contract.messages import CLIENT_MESSAGES, SERVER_MESSAGES
from locshare.model.reasons import CloseReason, should_reconnect
from tests.documents.pages import ROOT
from tests.node import NODE
from tests.running import LAST_RESORT_S

GENERATED = ROOT / "web" / "src" / "generated"


def test_the_committed_files_are_what_the_contract_makes(tmp_path: Path) -> None:
    typescript.main(tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text() for path in GENERATED.iterdir()}
    assert committed == made, "out of date: run `make generate` and commit what it writes"


def test_each_message_is_a_member_of_its_union() -> None:
    text = typescript.messages_module()
    client, server = text.split("export type ServerMessage")
    assert all(f'| {{ readonly type: "{name}"' in client for name in CLIENT_MESSAGES)
    assert all(f'| {{ readonly type: "{name}"' in server for name in SERVER_MESSAGES)


def run(source: str) -> object:
    done = subprocess.run(
        [NODE, "--experimental-strip-types", "--no-warnings", "--input-type=module-typescript"],
        input=source, capture_output=True, text=True, check=True, timeout=LAST_RESORT_S,
    )  # fmt: skip
    found: object = json.loads(done.stdout)
    return found


def test_the_table_of_close_codes_decides_as_the_server_means_it() -> None:
    codes = [*range(1000, 5000)]
    source = typescript.closing_module()
    decided = run(
        f"{source}\nconst codes = {json.dumps(codes)};\n"
        "console.log(JSON.stringify(codes.map(shouldReconnect)));"
    )
    assert decided == [should_reconnect(code) for code in codes]
    waits = run(f"{source}\nconsole.log(JSON.stringify(CLOSINGS));")
    assert waits == {
        str(each.code): {
            "reason": each.label,
            "reconnect": each.reconnect,
            "wait_s": [*each.wait_s],
        }
        for each in CloseReason
    }


@pytest.mark.parametrize("name", [*typescript.FILES])
def test_each_file_is_typescript_that_can_be_erased(name: str) -> None:
    assert run(f"{typescript.FILES[name]()}\nconsole.log(JSON.stringify(true));") is True
