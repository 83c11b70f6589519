"""The calls of the REST API, in one table: what goes in, what comes out, what is refused. Pure.

``tests/contract/test_openapi.py`` holds it to the routes that the server has, and what the server
answers to what the table says.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from msgspec import Struct

from locshare.api.health import Live, Ready
from locshare.api.messages import (
    ChangeParticipant,
    ChangeSession,
    CreateSession,
    HostKey,
    JoinSession,
)
from locshare.contract.schemas import Schema
from locshare.http.problems import ProblemCode
from locshare.http.types import JSON
from locshare.ingest.osmand import TraccarReport
from locshare.ingest.owntracks import OwnTracksCard, OwnTracksFriend, OwnTracksLocation
from locshare.ingest.plain import ReportedPosition, ReportedPositions
from locshare.web.map_config import PageConfig
from locshare.wire.answers import (
    DeletionReceipt,
    HostToken,
    NewLink,
    ParticipantList,
    ReportSetup,
    SessionCreated,
    SessionDescription,
    SessionJoined,
    Success,
)

Token = Literal["host", "participant", "basic", "code"]
"""What lets a client make a call: a bearer token of the host or a participant, HTTP Basic, or the
parameter ``id``."""

FORM: Final = "application/x-www-form-urlencoded"
SVG: Final = "image/svg+xml"
TEXT: Final = "text/plain"


class Parameter(Struct, frozen=True):
    """One parameter of a path or a query."""

    name: str
    where: Literal["path", "query"]
    schema: Schema
    description: str


class Operation(Struct, frozen=True, kw_only=True):
    """One call. ``bodies`` and ``answers`` are types by media type; a string is text, bytes are
    whatever they are. ``tokens``: any of them; with ``anonymous`` none is needed.
    """

    id: str
    method: str
    path: str
    tag: str
    summary: str
    detail: str = ""
    parameters: tuple[Parameter, ...] = ()
    bodies: Mapping[str, Any] = {}
    body_required: bool = True
    tokens: tuple[Token, ...] = ()
    anonymous: bool = False
    status: int = 200
    answers: Mapping[str, Any] = {}
    unready: Mapping[str, Any] = {}
    """The answers with status 503 that are none of a problem."""
    refusals: tuple[ProblemCode, ...] = ()

    @property
    def refused(self) -> dict[int, tuple[ProblemCode, ...]]:
        """The codes of each status that refuses the call."""
        codes = {*self.refusals, *_ALWAYS}
        if self.method != "GET":
            codes.add(ProblemCode.CROSS_SITE)
        if self.method in ("POST", "PATCH"):
            codes |= {ProblemCode.BODY_TOO_LARGE, ProblemCode.REQUEST_TIMEOUT}
        if self.bodies:
            codes |= {*_WITH_A_BODY}
        if self.tokens:
            codes |= {*_WITH_A_TOKEN}
        if any(each.where == "path" for each in self.parameters):
            codes.add(ProblemCode.NOT_FOUND)
        if self.path.startswith("/api/"):
            codes.add(ProblemCode.RATE_LIMITED)
        found: dict[int, tuple[ProblemCode, ...]] = {}
        for code in ProblemCode:  # in their order there
            if code in codes:
                found[code.status] = (*found.get(code.status, ()), code)
        return found


_ALWAYS: Final = (
    ProblemCode.BAD_REQUEST,
    ProblemCode.URI_TOO_LONG,
    ProblemCode.EXPECTATION_FAILED,
    ProblemCode.HEADERS_TOO_LARGE,
    ProblemCode.INTERNAL_ERROR,
    ProblemCode.NOT_IMPLEMENTED,
    ProblemCode.UNAVAILABLE,
    ProblemCode.HTTP_VERSION_NOT_SUPPORTED,
)
"""Any request may be answered so."""
_WITH_A_BODY: Final = (
    ProblemCode.MALFORMED_JSON,
    ProblemCode.VALIDATION_FAILED,
    ProblemCode.UNSUPPORTED_MEDIA_TYPE,
)
_WITH_A_TOKEN: Final = (
    ProblemCode.TOKEN_MISSING,
    ProblemCode.TOKEN_INVALID,
    ProblemCode.FORBIDDEN,
    ProblemCode.SESSION_ENDED,
)

_SESSION: Final = Parameter(
    "session_id", "path", {"type": "string", "format": "uuid"}, "Id of the session."
)
_PERSON: Final = Parameter(
    "user_id", "path", {"type": "string", "minLength": 1}, "Id of the participant."
)
_APP: Final = Parameter(
    "app", "path", {"type": "string", "enum": ["owntracks", "traccar", "gpslogger"]}, "The app."
)
_CODE: Final = Parameter(
    "code", "path", {"type": "string", "minLength": 1}, "The participant's report code."
)
_BAN: Final = Parameter(
    "ban",
    "query",
    {"type": "string", "enum": ["true", "false", ""], "default": "false"},
    "Whether the participant is kept from joining again. Without a value: yes.",
)
_LINK_KEY: Final = Parameter(
    "link_key",
    "query",
    {"type": "string"},
    "What the join link has after the id. Not needed with a token, nor while the link is the first "
    "one.",
)

_UNKNOWN: Final = "What is no number, or out of range, is unknown."


def _query(name: str, schema: Schema, description: str) -> Parameter:
    return Parameter(name, "query", schema, description)


OSMAND: Final = (
    _query("id", {"type": "string"}, "The participant's token or code; also `deviceid`."),
    _query(
        "lat",
        {"type": "number", "minimum": -90, "maximum": 90},
        "Degrees, WGS 84. Without it and `lon` the report holds no position.",
    ),
    _query("lon", {"type": "number", "minimum": -180, "maximum": 180}, "Degrees, WGS 84."),
    _query(
        "timestamp",
        {"type": "number", "minimum": -62_135_596_800, "maximum": 253_402_300_799_999},
        "When the fix was taken: seconds or milliseconds since 1970, or ISO 8601; default: now.",
    ),
    _query("speed", {"type": "string"}, f"In knots, or as `speed_unit` says. {_UNKNOWN}"),
    _query(
        "speed_unit",
        {"type": "string", "enum": ["kn", "kmh", "mps"], "default": "kn"},
        "The unit of `speed`.",
    ),
    _query("bearing", {"type": "string"}, f"Degrees from true north; also `heading`. {_UNKNOWN}"),
    _query("altitude", {"type": "string"}, f"Metres. {_UNKNOWN}"),
    _query("accuracy", {"type": "string"}, f"Metres; 0 is unknown. {_UNKNOWN}"),
    _query("batt", {"type": "string"}, f"Per cent. {_UNKNOWN}"),
    _query("valid", {"type": "string"}, "`false` or `0`: the report holds no position."),
)
"""The parameters of the OsmAnd protocol."""

_HAS_NO_POSITIONS: Final[Schema] = {"not": {"required": ["positions"]}}


class Composed(Struct, frozen=True):
    """A body that is one of several: each a type, and a schema that holds beside its own."""

    alternatives: tuple[tuple[Any, Schema], ...]


_REPORT: Final = Composed(
    ((ReportedPosition, _HAS_NO_POSITIONS), (ReportedPositions, {"required": ["positions"]}))
)
_OWNTRACKS: Final = Composed(
    (
        (
            OwnTracksLocation,
            {"properties": {"_type": {"const": "location"}}, "required": ["_type"]},
        ),
        (
            None,
            {
                "type": "object",
                "properties": {"_type": {"type": "string", "not": {"const": "location"}}},
                "description": "Of any other type: it changes nothing.",
            },
        ),
    )
)

_SESSION_REFUSALS: Final = (ProblemCode.INVALID_ID, ProblemCode.SESSION_NOT_FOUND)

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="createSession",
        method="POST",
        path="/api/sessions",
        tag="Sessions",
        summary="Create a session.",
        detail="The host token and the host key are sent this once.",
        bodies={JSON: CreateSession},
        body_required=False,
        status=201,
        answers={JSON: SessionCreated},
    ),
    Operation(
        id="describeSession",
        method="GET",
        path="/api/sessions/{session_id}",
        tag="Sessions",
        summary="Describe a session.",
        detail="Also one that has ended, until it is deleted some time later.",
        parameters=(_SESSION, _LINK_KEY),
        tokens=("host", "participant"),
        anonymous=True,
        answers={JSON: SessionDescription},
        refusals=(*_SESSION_REFUSALS, ProblemCode.LINK_REPLACED),
    ),
    Operation(
        id="changeSession",
        method="PATCH",
        path="/api/sessions/{session_id}",
        tag="Hosts",
        summary="Lock or unlock a session.",
        parameters=(_SESSION,),
        bodies={JSON: ChangeSession},
        tokens=("host",),
        answers={JSON: SessionDescription},
        refusals=_SESSION_REFUSALS,
    ),
    Operation(
        id="endSession",
        method="DELETE",
        path="/api/sessions/{session_id}",
        tag="Hosts",
        summary="End a session for everyone.",
        parameters=(_SESSION,),
        tokens=("host",),
        answers={JSON: Success},
        refusals=_SESSION_REFUSALS,
    ),
    Operation(
        id="becomeHost",
        method="POST",
        path="/api/sessions/{session_id}/host",
        tag="Hosts",
        summary="Get another host token for the host key.",
        parameters=(_SESSION,),
        bodies={JSON: HostKey},
        answers={JSON: HostToken},
        refusals=(*_SESSION_REFUSALS, ProblemCode.FORBIDDEN, ProblemCode.SESSION_ENDED),
    ),
    Operation(
        id="getReceipt",
        method="GET",
        path="/api/sessions/{session_id}/receipt",
        tag="Hosts",
        summary="Whether the session's rows are deleted, and a signed receipt of that.",
        detail="The host token is accepted after its session's end. A month after the deletion "
        "the server knows nothing of the session.",
        parameters=(_SESSION,),
        tokens=("host",),
        answers={JSON: DeletionReceipt},
        refusals=_SESSION_REFUSALS,
    ),
    Operation(
        id="joinSession",
        method="POST",
        path="/api/sessions/{session_id}/join",
        tag="Sessions",
        summary="Join a session.",
        detail="With the host's token the new participant is the host.",
        parameters=(_SESSION,),
        bodies={JSON: JoinSession},
        tokens=("host",),
        anonymous=True,
        status=201,
        answers={JSON: SessionJoined},
        refusals=(
            *_SESSION_REFUSALS,
            ProblemCode.SESSION_FULL,
            ProblemCode.SESSION_LOCKED,
            ProblemCode.LINK_REPLACED,
            ProblemCode.BANNED,
        ),
    ),
    Operation(
        id="replaceLink",
        method="POST",
        path="/api/sessions/{session_id}/link",
        tag="Hosts",
        summary="Make a new join link.",
        detail="Nobody joins by the old link. Those who are in stay in, and are sent "
        "`session_updated`.",
        parameters=(_SESSION,),
        tokens=("host",),
        answers={JSON: NewLink},
        refusals=_SESSION_REFUSALS,
    ),
    Operation(
        id="joinLinkCode",
        method="GET",
        path="/api/sessions/{session_id}/link.svg",
        tag="Sessions",
        summary="The join link as a QR code.",
        parameters=(_SESSION, _LINK_KEY),
        tokens=("host", "participant"),
        anonymous=True,
        answers={SVG: bytes},
        refusals=(*_SESSION_REFUSALS, ProblemCode.LINK_REPLACED),
    ),
    Operation(
        id="listParticipants",
        method="GET",
        path="/api/sessions/{session_id}/participants",
        tag="Participants",
        summary="List the participants.",
        parameters=(_SESSION, _LINK_KEY),
        tokens=("host", "participant"),
        anonymous=True,
        answers={JSON: ParticipantList},
        refusals=(*_SESSION_REFUSALS, ProblemCode.LINK_REPLACED, ProblemCode.SESSION_ENDED),
    ),
    Operation(
        id="changeParticipant",
        method="PATCH",
        path="/api/sessions/{session_id}/participants/{user_id}",
        tag="Hosts",
        summary="Make a participant a host, or step down.",
        parameters=(_SESSION, _PERSON),
        bodies={JSON: ChangeParticipant},
        tokens=("host",),
        answers={JSON: Success},
        refusals=(
            *_SESSION_REFUSALS,
            ProblemCode.PARTICIPANT_NOT_FOUND,
            ProblemCode.SESSION_FULL,
        ),
    ),
    Operation(
        id="removeParticipant",
        method="DELETE",
        path="/api/sessions/{session_id}/participants/{user_id}",
        tag="Participants",
        summary="Leave for good; or, as a host, remove somebody.",
        parameters=(_SESSION, _PERSON, _BAN),
        tokens=("participant", "host"),
        answers={JSON: Success},
        refusals=(
            *_SESSION_REFUSALS,
            ProblemCode.PARTICIPANT_NOT_FOUND,
            ProblemCode.VALIDATION_FAILED,
        ),
    ),
    Operation(
        id="reportPositions",
        method="POST",
        path="/api/sessions/{session_id}/positions",
        tag="Reports",
        summary="Report a position without a WebSocket.",
        detail="One position, or up to 100 that waited: the newest counts. The token may be the "
        "participant's report code.",
        parameters=(_SESSION,),
        bodies={JSON: _REPORT},
        tokens=("participant",),
        answers={JSON: Success},
        refusals=_SESSION_REFUSALS,
    ),
    Operation(
        id="reportOsmandQuery",
        method="GET",
        path="/api/osmand",
        tag="Reports",
        summary="Report as OsmAnd and GPSLogger do, in the query.",
        detail="A `HEAD` reports nothing. Unknown parameters are ignored.",
        parameters=OSMAND,
        tokens=("code", "participant"),
        answers={JSON: Success},
        refusals=(*_WITH_A_BODY, ProblemCode.SESSION_NOT_FOUND, ProblemCode.BODY_TOO_LARGE),
    ),
    Operation(
        id="reportOsmand",
        method="POST",
        path="/api/osmand",
        tag="Reports",
        summary="Report as Traccar Client does.",
        detail="A body that begins with `{` is JSON, any other is a form, whatever its type is "
        "called. The parameters of a form may be in the query as well.",
        parameters=OSMAND[:1],
        bodies={JSON: TraccarReport, FORM: OSMAND},
        body_required=False,
        tokens=("code", "participant"),
        answers={JSON: Success},
        refusals=(ProblemCode.SESSION_NOT_FOUND,),
    ),
    Operation(
        id="reportOwnTracks",
        method="POST",
        path="/api/owntracks",
        tag="Reports",
        summary="Report as OwnTracks does in HTTP mode.",
        detail="Answered with the others' newest positions and names. The body may be of any "
        "media type.",
        bodies={JSON: _OWNTRACKS},
        body_required=False,
        tokens=("basic", "participant"),
        answers={JSON: list[OwnTracksFriend | OwnTracksCard]},
        refusals=(ProblemCode.SESSION_NOT_FOUND,),
    ),
    Operation(
        id="getSetup",
        method="GET",
        path="/api/sessions/{session_id}/setup",
        tag="Reports",
        summary="How other apps report for this participant.",
        parameters=(_SESSION,),
        tokens=("participant",),
        answers={JSON: ReportSetup},
        refusals=_SESSION_REFUSALS,
    ),
    Operation(
        id="getSetupCode",
        method="GET",
        path="/api/sessions/{session_id}/setup/{app}.svg",
        tag="Reports",
        summary="The link that sets an app up, as a QR code.",
        parameters=(_SESSION, _APP),
        tokens=("participant",),
        answers={SVG: bytes},
        refusals=_SESSION_REFUSALS,
    ),
    Operation(
        id="getGpsLoggerProfile",
        method="GET",
        path="/api/gpslogger/{code}/locshare.properties",
        tag="Reports",
        summary="A profile of GPSLogger.",
        parameters=(_CODE,),
        answers={TEXT: str},
        refusals=(ProblemCode.TOKEN_INVALID, ProblemCode.SESSION_ENDED),
    ),
    Operation(
        id="getMaps",
        method="GET",
        path="/config.json",
        tag="Server",
        summary="The maps that a page may offer.",
        answers={JSON: PageConfig},
    ),
    Operation(
        id="isAlive",
        method="GET",
        path="/health/live",
        tag="Server",
        summary="Whether the event loop runs.",
        answers={JSON: Live},
    ),
    Operation(
        id="isReady",
        method="GET",
        path="/health/ready",
        tag="Server",
        summary="Whether the server can serve.",
        answers={JSON: Ready},
        unready={JSON: Ready},
    ),
    Operation(
        id="getMetrics",
        method="GET",
        path="/metrics",
        tag="Server",
        summary="Metrics for Prometheus.",
        detail="With an internal port it is there and not here.",
        answers={TEXT: str},
    ),
)


def kinds_of(types: Mapping[str, Any]) -> Iterable[Any]:
    """The structs in bodies or answers."""
    for kind in types.values():
        if isinstance(kind, Composed):
            yield from (each for each, _ in kind.alternatives if each is not None)
        elif kind not in (str, bytes) and kind is not OSMAND:
            yield kind
