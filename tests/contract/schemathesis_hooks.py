"""What schemathesis cannot know: a session that lives, with a host and a participant, for each case
that changes it, and for some together that only read or report; and what a name looks like. Loaded
by its command line (test_openapi.py).

Cases with an invalid path stay as they are. The file that ``ANSWERS`` names gets how often each
operation was answered with which status.
"""

import atexit
import json
import os
from collections import Counter, defaultdict
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
import schemathesis
from hypothesis import strategies
from schemathesis import AuthContext, Case, HookContext, Response
from schemathesis.core.parameters import ParameterLocation

ANSWERS = Path(os.environ["ANSWERS"])
SERVER = os.environ["SERVER"]
OF_THE_HOST = {
    "changeSession", "endSession", "changeParticipant", "replaceLink", "getReceipt",
}  # fmt: skip
"""The operations that need the host's token."""
CHANGING_NOTHING: Final = {
    "describeSession", "getReceipt", "joinLinkCode", "listParticipants", "getSetup",
    "getSetupCode", "getGpsLoggerProfile", "reportPositions", "reportOsmand", "reportOsmandQuery",
    "reportOwnTracks",
}  # fmt: skip
"""After these the session is as before, but for where its participant is: four cases of five."""
SHARED_BY: Final = 40
"""A participant may report 120 times at once, and a case may be sent more than once."""

answers: dict[str, Counter[int]] = defaultdict(Counter)
http = httpx.Client(timeout=100)

schemathesis.openapi.format(
    "visible-name",
    strategies.text(strategies.characters(categories=["L", "N"]), min_size=1, max_size=100),
)


def posted(path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = http.post(f"{SERVER}{path}", json=body)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


class Group:
    """A session with a host's token and a participant."""

    def __init__(self) -> None:
        created = posted("/api/sessions", {})
        joined = posted(f"/api/sessions/{created['session_id']}/join", {"display_name": "Ada"})
        self.ids = {
            "session_id": created["session_id"],
            "user_id": joined["user_id"],
            "code": joined["setup"]["code"],
        }
        self.host = created["host_token"]
        self.participant = joined["websocket_token"]


_cases = count()


@cache
def _shared(number: int) -> Group:
    return Group()


def shared_group() -> Group:
    """To make one for each case took more than the case."""
    return _shared(next(_cases) // SHARED_BY)


@schemathesis.auth(refresh_interval=None)
class Tokens:
    """Gives each case a group, and the token that its operation needs."""

    def get(self, case: Case[Any], context: AuthContext) -> Group | None:
        if case.meta is not None and case.meta.is_negative_at(ParameterLocation.PATH):
            return None
        if not case.operation.path_parameters and "security" not in case.operation.definition.raw:
            return None
        if case.operation.definition.raw["operationId"] in CHANGING_NOTHING:
            return shared_group()
        return Group()

    def set(self, case: Case[Any], group: Group, context: AuthContext) -> None:
        for given in (case.query, case.body):  # of OsmAnd: a latitude goes with a longitude
            if isinstance(given, dict) and ("lat" in given) != ("lon" in given):
                given.setdefault("lat", "1")
                given.setdefault("lon", "1")
        for name in case.path_parameters or {}:
            if name in group.ids:
                case.path_parameters[name] = group.ids[name]
        operation = case.operation.definition.raw
        if any(operation.get("security", [])) and {} not in operation["security"]:
            of_the_host = operation["operationId"] in OF_THE_HOST
            token = group.host if of_the_host else group.participant
            case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.hook
def filter_case(context: HookContext, case: Case[Any]) -> bool:
    """Without what the server ignores on purpose, which counts as a fault here: parameters that it
    does not know; and OsmAnd's call takes any body that is no object of JSON as a form.
    """
    operation = case.operation.definition.raw
    known = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
    if set(case.query or ()) - known:
        return False
    is_osmand = operation["operationId"] == "reportOsmand"
    return not is_osmand or isinstance(case.body, dict) or case.media_type != "application/json"


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    if response.request.method == case.operation.method.upper():  # not one that is forbidden
        answers[case.operation.definition.raw["operationId"]][response.status_code] += 1


@atexit.register
def write() -> None:
    ANSWERS.write_text(json.dumps(answers))
