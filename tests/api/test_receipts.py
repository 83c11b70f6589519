"""The receipt of deletion: for the host alone, before and after the rows are gone."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from locshare.auth.tokens import TokenInvalid, TokenKeys
from tests.api.conftest import SECRET, FakeSessions

KEYS = TokenKeys(SECRET)
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def token(session_id: UUID, role: Any = "host", expires_at: datetime = YESTERDAY) -> dict[str, str]:
    issued = KEYS.issue(session_id=session_id, user_id="x", role=role, expires_at=expires_at)
    return {"Authorization": f"Bearer {issued}"}


async def test_before_the_deletion_it_says_what_is_stored_and_until_when(
    client: httpx.AsyncClient, manager: FakeSessions
) -> None:
    made = (await client.post("/api/sessions", json={})).json()
    session_id = UUID(made["session_id"])
    await client.post(f"/api/sessions/{session_id}/join", json={"display_name": "Ada"})
    answer = await client.get(
        f"/api/sessions/{session_id}/receipt",
        headers={"Authorization": f"Bearer {made['host_token']}"},
    )
    assert answer.status_code == 200
    body = answer.json()
    assert body["state"] == "stored"
    assert body["rows"] == {"sessions": 1, "participants": 1}
    assert body["receipt"] is None
    assert body["until"] == made["expires_at"]


async def test_after_the_deletion_an_expired_host_token_gets_a_receipt_of_it(
    client: httpx.AsyncClient, manager: FakeSessions
) -> None:
    session_id = uuid4()
    manager.deleted[session_id] = YESTERDAY
    answer = await client.get(f"/api/sessions/{session_id}/receipt", headers=token(session_id))
    body = answer.json()
    assert body["state"] == "deleted"
    assert body["session_sha256"] == hashlib.sha256(str(session_id).encode()).hexdigest()
    facts = KEYS.read_receipt(body["receipt"])
    assert facts["session_sha256"] == body["session_sha256"]
    assert facts["rows_deleted"] == {"sessions": 1, "participants": 2}
    assert facts["rows_left"] == 0
    assert str(session_id) not in str(facts)
    with pytest.raises(TokenInvalid):
        KEYS.verify(body["receipt"])  # it opens nothing


async def test_nobody_else_gets_one(client: httpx.AsyncClient, manager: FakeSessions) -> None:
    session_id = uuid4()
    manager.deleted[session_id] = YESTERDAY
    path = f"/api/sessions/{session_id}/receipt"
    assert (await client.get(path)).status_code == 401
    assert (await client.get(path, headers=token(uuid4()))).status_code == 403
    assert (await client.get(path, headers=token(session_id, "participant"))).status_code == 403
    foreign = TokenKeys(b"another secret, another secret, another")
    forged = foreign.issue(session_id=session_id, user_id="x", role="host", expires_at=YESTERDAY)
    headers = {"Authorization": f"Bearer {forged}"}
    assert (await client.get(path, headers=headers)).status_code == 401
    unknown = uuid4()
    answer = await client.get(f"/api/sessions/{unknown}/receipt", headers=token(unknown))
    assert (answer.status_code, answer.json()["code"]) == (404, "SESSION_NOT_FOUND")


def test_a_receipt_of_another_key_and_a_token_are_none_of_ours() -> None:
    foreign = TokenKeys(b"another secret, another secret, another").sign_receipt({"a": 1})
    issued = KEYS.issue(session_id=uuid4(), user_id="x", role="host", expires_at=YESTERDAY)
    for text in (foreign, issued, "", "x.y.z"):
        with pytest.raises(TokenInvalid):
            KEYS.read_receipt(text)
    assert KEYS.read_receipt(KEYS.sign_receipt({"a": 1}))["a"] == 1
