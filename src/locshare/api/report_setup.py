"""The set-up of store apps that report positions: links, templates, a profile. Pure.

Each asks the app for a report every 15 s while it moves: a position is kept for 30 s, so that one
report may be lost. The code stands for the participant (:mod:`locshare.auth.report_codes`); no
token is in a link, which messengers and shared clipboards may see.

Sources: the OwnTracks booklet (`tech/json`, `features/location`), and for
`pegLocatorFastestIntervalToInterval` the source of its Android app; Traccar Client's
`configuration_service.dart`, which takes the settings from the query of a scanned URL; GPSLogger's
`gpslogger://properties/` links.
"""

from base64 import b64encode
from typing import Final, Literal
from urllib.parse import quote
from uuid import UUID

import msgspec
from msgspec import Struct

from locshare.ingest.owntracks import tracker_id
from locshare.wire.answers import GpsLoggerSetup, OwnTracksSetup, ReportSetup, TraccarSetup

INTERVAL_S: Final = 15
DISPLACEMENT_M: Final = 500
"""Not reached within the interval below 120 km/h."""
HEARTBEAT_S: Final = 60
"""Of a phone that rests: below the 2 minutes after which it is shown offline."""
_USERNAME: Final = "locshare"

App = Literal["owntracks", "traccar", "gpslogger"]
"""Those that can be set up by a link."""


class _OwnTracksConfiguration(Struct, frozen=True, tag_field="_type", tag="configuration"):
    """The names are the app's. In move mode Android takes ``moveModeLocatorInterval`` alone; iOS
    reports after ``locatorInterval`` seconds or ``locatorDisplacement`` metres, whichever comes
    first: a small displacement would have it report all the time.
    """

    url: str
    password: str
    deviceId: str  # noqa: N815
    tid: str
    username: str = _USERNAME
    mode: int = 3
    """HTTP."""
    auth: bool = True
    monitoring: int = 2
    """Move."""
    moveModeLocatorInterval: int = INTERVAL_S  # noqa: N815
    locatorInterval: int = INTERVAL_S  # noqa: N815
    locatorDisplacement: int = DISPLACEMENT_M  # noqa: N815
    pegLocatorFastestIntervalToInterval: bool = True  # noqa: N815
    cmd: bool = False
    """Nobody but the phone's owner changes its settings."""


def report_setup(
    base_url: str, session_id: UUID, user_id: str, display_name: str, code: str
) -> ReportSetup:
    """How apps report for a participant. ``base_url`` is the public one, without a final slash."""
    osmand = f"{base_url}/api/osmand"
    owntracks = f"{base_url}/api/owntracks"
    configuration = _OwnTracksConfiguration(
        owntracks, code, user_id[:8], tracker_id(display_name, frozenset())
    )
    inline = b64encode(msgspec.json.encode(configuration)).decode()
    return ReportSetup(
        code=code,
        interval_s=INTERVAL_S,
        positions_url=f"{base_url}/api/sessions/{session_id}/positions",
        owntracks=OwnTracksSetup(
            owntracks, _USERNAME, f"owntracks:///config?inline={quote(inline, safe='')}"
        ),
        traccar=TraccarSetup(
            osmand,
            f"{osmand}?id={code}&interval={INTERVAL_S}&distance=0&angle=0"
            f"&heartbeat={HEARTBEAT_S}&accuracy=high&service=true",
        ),
        osmand_url=(
            f"{osmand}?id={code}&lat={{0}}&lon={{1}}&timestamp={{2}}&altitude={{4}}&speed={{5}}"
            "&speed_unit=mps&bearing={6}"
        ),
        gpslogger=GpsLoggerSetup(
            _gpslogger_url(osmand, code),
            f"gpslogger://properties/{base_url}/api/gpslogger/{code}/locshare.properties",
        ),
    )


def link_of(setup: ReportSetup, app: str) -> str | None:
    """What the QR code of ``app`` holds; None for an app that has none."""
    match app:
        case "owntracks":
            return setup.owntracks.link
        case "traccar":
            return setup.traccar.link
        case "gpslogger":
            return setup.gpslogger.link
        case _:
            return None


def gpslogger_profile(base_url: str, code: str) -> bytes:
    """A profile of GPSLogger: Java properties, of which the app reads those that it knows."""
    lines = (
        "log_customurl_enabled=true",
        "log_customurl_method=GET",
        f"log_customurl_url={_gpslogger_url(f'{base_url}/api/osmand', code)}",
        f"time_before_logging={INTERVAL_S}",
        "distance_before_logging=0",
        "log_gpx=false",
        "",
    )
    return "\n".join(lines).encode()


def _gpslogger_url(osmand: str, code: str) -> str:
    return (
        f"{osmand}?id={code}&lat=%LAT&lon=%LON&timestamp=%TIMESTAMP&altitude=%ALT&accuracy=%ACC"
        "&speed=%SPD&speed_unit=mps&bearing=%DIR&batt=%BATT"
    )
