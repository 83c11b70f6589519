"""What each field of the contract means, for readers of the documents. Pure data.

One word means one thing in all of the contract, so a field is described by its name; where a name
means something else in one struct, by ``Struct.name``.
"""

from collections.abc import Mapping
from typing import Final

FIELDS: Final[Mapping[str, str]] = {
    # positions
    "lat": "Latitude in degrees, WGS 84.",
    "lng": "Longitude in degrees, WGS 84.",
    "accuracy": "Radius of 68 % confidence in metres; null is unknown.",
    "timestamp": "When the device took the fix, by the sender's clock.",
    "altitude": "Metres above the ellipsoid.",
    "speed": "Metres per second.",
    "heading": "Degrees clockwise from true north.",
    "battery": "Per cent.",
    "age_ms": "Age of the fix in milliseconds when it was sent, by a clock that nobody sets.",
    "ParticipantPosition.age_ms": (
        "Age of the fix in milliseconds when the server sent it. Absent below a second."
    ),
    "positions": "The newest position of each participant, none older than 30 s.",
    "ReportedPositions.positions": "Of several, the one with the newest timestamp counts.",
    # people
    "user_id": "Id of the participant in this session.",
    "display_name": "Name of the participant, as the others see it.",
    "JoinSession.display_name": (
        "The wished name: 1 to 100 visible characters, counted after cleaning."
    ),
    "avatar_color": "`#RRGGBB`.",
    "device_key": "Random text that a device keeps for this session; a ban recognises it by that.",
    "joined_at": "When the participant joined.",
    "last_seen": "When the participant last gave a sign of life.",
    "ParticipantView.is_active": "Always true: whoever left is not listed.",
    "online": "Connected, or reported over HTTP in the last 2 minutes.",
    "role": "Absent means `participant`.",
    "You.role": "The role of the receiver.",
    "ChangeParticipant.role": "The new role.",
    "ParticipantUpdated.role": "The new role, if that is what changed.",
    "state": "What the participant's client shows; absent means `active`.",
    "participants": "The participants, connected or not.",
    "Presence.state": "What this client shows the others.",
    # sessions
    "id": "Id of the session, a UUID.",
    "session_id": "Id of the session, a UUID.",
    "Joined.status": "Always `joined`.",
    "name": "Name of the session.",
    "CreateSession.name": (
        "At most 255 characters, counted after cleaning. Null or empty: the server picks one."
    ),
    "MapType.name": "Which map it is.",
    "OwnTracksCard.name": "Name of the participant.",
    "created_at": "When the session was created.",
    "expires_at": "When the session ends, and with it all its tokens.",
    "expires_in_minutes": "How long the session lives.",
    "locked": "Whether only a host may join.",
    "is_active": "False once the session has ended.",
    "participant_count": "How many participants there are, connected or not.",
    "session": "The session.",
    "you": "The receiver of the snapshot.",
    "server_time": "The server's clock when it made the snapshot.",
    "epoch": "The life of the session on this server.",
    "seq": "Number of the event; later events have higher ones.",
    "Snapshot.seq": "Number of the newest event that the snapshot includes.",
    "features": "A section for each feature that has something to show. Ignore unknown ones.",
    "resumed": "Whether `missed` is complete. Absent when the client did not ask to resume.",
    "missed": "The events for the receiver since the one that it named, in order.",
    # tokens, links
    "host_token": "Token of the host. Sent this once.",
    "HostToken.host_token": "A new token of the host.",
    "host_key": "The key after `#host=` in the host's link; it is good for another host token.",
    "host_url": "The join link with the host key in its fragment.",
    "join_link": "The link to share. Whoever has it may join.",
    "link_key": (
        "What the join link has after the id, as `/join/ID-KEY`. Absent while it is the first link."
    ),
    "JoinSession.link_key": "What the join link has after the id, as `/join/ID-KEY`.",
    "NewLink.link_key": "What the link has after the id.",
    "websocket_token": "Token of the participant, valid until the session ends.",
    "websocket_url": "Where to connect. It does not contain the token.",
    "setup": "How other apps report positions for this participant.",
    "code": "Stable code: programs branch on it.",
    "ReportSetup.code": "Stands for the token in reports, and can do nothing else.",
    "interval_s": "Seconds from one position to the next.",
    "ReportSetup.interval_s": "Seconds between reports, as the set-ups ask the apps for.",
    "SetPace.interval_s": "Receive positions at most so often; 0 is as the server flushes.",
    "Pace.interval_s": "Send positions at most so often; 0 is as the client likes.",
    "min_distance_m": (
        "Send no position before moving so far, but for one every 15 s; 0 is as the client likes."
    ),
    "positions_url": "Where to report as JSON.",
    "owntracks": "For OwnTracks.",
    "traccar": "For Traccar Client.",
    "osmand_url": "For OsmAnd.",
    "gpslogger": "For GPSLogger.",
    "url": "The address to enter in the app.",
    "MapType.url": "Relative addresses are below the root of the page.",
    "username": "Any user name will do.",
    "link": "Makes all settings of the app at once, as a link or a QR code.",
    "success": "True.",
    # deletion
    "DeletionReceipt.state": "Whether the rows are there (`stored`), or are deleted.",
    "session_sha256": "SHA-256 of the session's id as text, in hexadecimal digits.",
    "rows": "How many rows the database has of the session, or had.",
    "RowCount.sessions": "Rows of the session itself.",
    "RowCount.participants": "Rows of its participants.",
    "until": (
        "When the rows are deleted at the latest; after that, when the server forgets that there "
        "was anything."
    ),
    "ended_at": "When the session ended; null while it runs.",
    "deleted_at": "When the rows were deleted; null before.",
    "receipt": "The same as a JWT, signed by the server; null before the rows are deleted.",
    # why
    "reason": "Why it ended.",
    "message": "For people; may change.",
    "Reason.reason": "Why, as a stable code.",
    "Reason.message": "For people; may change.",
    "FieldError.message": "What is allowed; never the value.",
    "field": "Name of the wrong field; empty when it is the body itself.",
    "title": "The phrase of the status.",
    "status": "The status.",
    "ProblemDetails.status": "The HTTP status.",
    "ProblemDetails.type": "`about:blank`.",
    "detail": "For people; may change.",
    "errors": "Each wrong field.",
    "checks": "Each check: `ok`, `failed`, or `too_slow` after 1 s.",
    # Phoenix
    "token": "Token of this session; without it that of the upgrade counts.",
    "resume": "`EPOCH.SEQ` of the last event that the client knows.",
    "pace": "As `set_pace`, from the beginning.",
    "presence": "As `presence`, from the beginning.",
    # other apps
    "location": "Where the device is.",
    "device_id": "The participant's token or code.",
    "coords": "Absent when the app has no fix.",
    "TraccarLocation.timestamp": "When the fix was taken; UTC if it names no offset.",
    "TraccarLocation.battery": "The state of the battery.",
    "level": "0 to 1.",
    "latitude": "Degrees, WGS 84.",
    "longitude": "Degrees, WGS 84.",
    "lon": "Longitude in degrees, WGS 84.",
    "tst": "When the fix was taken, in seconds since 1970.",
    "acc": "Radius of confidence in metres; 0 is unknown.",
    "alt": "Metres.",
    "vel": "Kilometres per hour.",
    "cog": "Degrees from true north.",
    "batt": "Per cent.",
    "topic": "Ends in the user_id.",
    "tid": "Two characters that no other participant has.",
    # maps
    "maps": "The first is the one to begin with; without any there are no tiles.",
    "kind": "What is at the address: a TileJSON, a MapLibre style, or a template of raster tiles.",
    "attribution": "To be shown with the map.",
}

MESSAGES: Final[Mapping[str, str]] = {
    "session_state": "The state of the session: the first message of a connection, exactly once.",
    "location_update": "A participant's new position.",
    "participant_joined": "Somebody joined the session.",
    "participant_updated": "A participant's presence, state or role changed.",
    "participant_left": "A participant left for good, or was removed.",
    "session_updated": "The host locked or unlocked the session, or replaced its link.",
    "session_ended": "The session is over. The connection is closed with 4410.",
    "ping": "Asks for a `pong`.",
    "pong": "Answers a `ping`.",
    "leave": "Leaves the session for good. The connection is closed with 1000.",
    "error": "A message was refused. The connection goes on.",
    "set_pace": "Asks for positions less often.",
    "pace": "Asks the client to send its positions less often.",
    "presence": "Tells the others what this client shows.",
}
"""What each message of the WebSocket is."""


def description_of(kind: type, name: str) -> str:
    """What the field ``name`` of ``kind`` means; empty when nothing is known."""
    return FIELDS.get(f"{kind.__name__}.{name}") or FIELDS.get(name, "")
