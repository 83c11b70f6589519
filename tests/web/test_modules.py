"""The decisions of the pages, each module by itself in a real Chromium."""

from typing import Any

import pytest
from playwright.sync_api import Page, Route

from locshare.model.reasons import CloseReason
from locshare.web.pages import STATIC
from tests.web.conftest import Run

pytestmark = pytest.mark.browser

BERLIN = {"lat": 52.520008, "lng": 13.404954}
SYDNEY = {"lat": -33.8688, "lng": 151.2093}
FIJI = {"lat": -17.7, "lng": 179.9}
SAMOA = {"lat": -13.8, "lng": -179.9}


# --- places -----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [BERLIN, SYDNEY, FIJI, SAMOA, {"lat": 0, "lng": 0}])
def test_projecting_there_and_back_gives_the_same_place(run: Run, place: dict[str, float]) -> None:
    back = run("geo", "m.unproject(m.project(x.place))", place=place)
    assert back["lat"] == pytest.approx(place["lat"], abs=1e-9)
    assert back["lng"] == pytest.approx(place["lng"], abs=1e-9)


def test_the_whole_world_is_the_unit_square(run: Run) -> None:
    for lat, lng, x, y in [(0, 0, 0.5, 0.5), (85.051128779806589, -180, 0, 0), (-90, 180, 1, 1)]:
        point = run("geo", "m.project(x.place)", place={"lat": lat, "lng": lng})
        assert (point["x"], point["y"]) == (pytest.approx(x), pytest.approx(y))


@pytest.mark.parametrize(
    ("there", "metres", "degrees"),
    [
        ({"lat": 52.520008, "lng": 13.404954}, 0, 0),
        ({"lat": 53.520008, "lng": 13.404954}, 111_195, 0),
        ({"lat": 52.520008, "lng": 13.419727}, 1_000, 90),
        ({"lat": 48.8566, "lng": 2.3522}, 877_500, 246.5),
        (SYDNEY, 16_094_500, 75.0),
    ],
)
def test_distance_and_bearing_are_those_of_the_great_circle(
    run: Run, there: dict[str, float], metres: float, degrees: float
) -> None:
    assert run("geo", "m.distance(x.a, x.b)", a=BERLIN, b=there) == pytest.approx(metres, rel=2e-3)
    assert run("geo", "m.bearing(x.a, x.b)", a=BERLIN, b=there) == pytest.approx(degrees, abs=0.6)


def test_over_the_date_line_is_the_short_way(run: Run) -> None:
    assert run("geo", "m.distance(x.a, x.b)", a=FIJI, b={"lat": -17.7, "lng": -179.9}) < 25_000


# --- the camera -------------------------------------------------------------------------------

SIZE = {"width": 390, "height": 500}
PADDING = {"top": 64, "right": 60, "bottom": 72, "left": 60}


def test_zooming_leaves_the_point_under_the_finger_where_it_was(run: Run) -> None:
    moved = run(
        "camera",
        """
        const camera = { x: 0.537, y: 0.328, zoom: 14.2 };
        const about = { x: 71, y: 333 };
        const point = m.toPoint(camera, x.size, about);
        return m.toScreen(m.zoomed(camera, x.size, 1.7, about), x.size, point);
        """,
        size=SIZE,
    )
    assert moved == {"x": pytest.approx(71, abs=1e-4), "y": pytest.approx(333, abs=1e-4)}


def test_dragging_moves_the_map_with_the_finger(run: Run) -> None:
    assert run(
        "camera",
        """
        const camera = { x: 0.537, y: 0.328, zoom: 14 };
        return m.toScreen(m.panned(camera, 30, -12), x.size, camera);
        """,
        size=SIZE,
    ) == {"x": pytest.approx(225, abs=1e-4), "y": pytest.approx(238, abs=1e-4)}


@pytest.mark.parametrize(
    "places", [[BERLIN, SYDNEY], [FIJI, SAMOA], [BERLIN, {"lat": 52.5, "lng": 13.3}], [BERLIN]]
)
def test_fitting_shows_everyone_inside_the_padding(
    run: Run, places: list[dict[str, float]]
) -> None:
    camera, screen, suits = run(
        "camera",
        """
        const { project } = await import('/static/geo.js');
        const points = x.places.map(project);
        const camera = m.fitted(points, x.size, x.padding);
        const screen = points.map((point) => m.toScreen(camera, x.size, point));
        return [camera, screen, m.suits(camera, points, x.size, x.padding)];
        """,
        places=places, size=SIZE, padding=PADDING,
    )  # fmt: skip
    assert suits
    assert camera["zoom"] <= 17
    for point in screen:
        assert 59.99 <= point["x"] <= 330.01
        assert 63.99 <= point["y"] <= 428.01


def test_the_camera_follows_when_someone_leaves_the_view_and_not_before(run: Run) -> None:
    before, after = run(
        "camera",
        """
        const { project } = await import('/static/geo.js');
        const points = [x.a, { lat: x.a.lat + 0.01, lng: x.a.lng + 0.01 }].map(project);
        const camera = m.fitted(points, x.size, x.padding);
        const eastwards = (by) => ({ ...points[1], x: points[1].x + by / m.scaleOf(camera) });
        return [10, 100].map(
            (by) => m.suits(camera, [points[0], eastwards(by)], x.size, x.padding));
        """,
        a=BERLIN, size=SIZE, padding=PADDING,
    )  # fmt: skip
    assert (before, after) == (True, False)


# --- the session's state ----------------------------------------------------------------------

STATE: dict[str, Any] = {
    "type": "session_state",
    "data": {
        "session": {
            "id": "s", "name": "Alps",
            "created_at": "2026-03-01T11:00:00Z", "expires_at": "2026-03-01T13:00:00Z",
        },
        "you": {"user_id": "me", "role": "host"},
        "participants": [
            {"user_id": "me", "display_name": "Ada", "avatar_color": "#112233", "online": True,
             "joined_at": "2026-03-01T11:00:00Z", "last_seen": "2026-03-01T12:00:00Z",
             "is_active": True},
            {"user_id": "bo", "display_name": "Bo", "avatar_color": "#445566", "online": True,
             "joined_at": "2026-03-01T11:00:00Z", "last_seen": "2026-03-01T11:59:50Z",
             "is_active": True},
        ],
        "positions": [
            {"user_id": "bo", **BERLIN, "accuracy": 8, "timestamp": "1999-01-01T00:00:00Z",
             "age_ms": 4_200}
        ],
        "server_time": "2026-03-01T12:00:00Z", "epoch": "e", "seq": 3,
    },
}  # fmt: skip
MOVED: dict[str, Any] = {
    "type": "location_update",
    "data": {"user_id": "bo", **SYDNEY, "accuracy": 5},
}
REDUCE = """
    let state = m.EMPTY;
    for (const [at, message] of x.messages) {
        const before = JSON.stringify(seen(state));
        const next = m.reduce(state, message, at);
        if (JSON.stringify(seen(state)) !== before) throw new Error("the old state was changed");
        state = next;
    }
    function seen(s) {
        return { ...s, people: [...s.people], positions: [...s.positions] };
    }
    state = x.now === undefined ? state : m.expire(state, x.now);
    const { session, ended, me } = state;
    return { everyone: m.everyone(state), session, ended, me };
"""
T = 1_000_000


def after(run: Run, *messages: tuple[int, Any], now: int | None = None) -> Any:
    values: dict[str, Any] = {"messages": [list(each) for each in messages]}
    if now is not None:
        values["now"] = now
    return run("session", REDUCE, **values)


def test_a_snapshot_says_everything_whatever_this_devices_clock_says(run: Run) -> None:
    state = after(run, (T, STATE))
    assert state["session"]["name"] == "Alps"
    assert state["session"]["expiresAt"] == T + 3_600_000
    assert state["me"] == {"userId": "me", "role": "host"}
    me, bo = state["everyone"]
    assert (me["name"], me["isMe"], me["place"]) == ("Ada", True, None)
    assert (bo["name"], bo["isMe"], bo["lastSeen"]) == ("Bo", False, T - 10_000)
    place = bo["place"]
    assert (place["lat"], place["at"], place["heard"]) == (BERLIN["lat"], T - 4_200, T - 10_000)


def test_a_snapshot_replaces_all_that_was_known(run: Run) -> None:
    other = {**STATE, "data": {**STATE["data"], "participants": [], "positions": []}}
    assert after(run, (T, STATE), (T + 1, other))["everyone"] == []


def test_the_newest_position_counts_and_is_forgotten_after_30_s(run: Run) -> None:
    moved = after(run, (T, STATE), (T + 5, MOVED), now=T + 30_004)
    assert moved["everyone"][1]["place"]["lat"] == SYDNEY["lat"]
    assert moved["everyone"][1]["place"]["heading"] is None
    gone = after(run, (T, STATE), (T + 5, MOVED), now=T + 30_005)
    assert gone["everyone"][1]["place"] is None
    assert gone["everyone"][1]["lastSeen"] == T - 10_000


def test_who_joins_is_offline_until_they_connect_and_gone_when_they_leave(run: Run) -> None:
    joined = {
        "type": "participant_joined",
        "data": {"user_id": "cy", "display_name": "Cy", "avatar_color": "#778899"},
    }
    online = {
        "type": "participant_updated",
        "data": {"user_id": "cy", "online": True, "last_seen": "2026-03-01T12:00:00Z"},
    }
    left = {"type": "participant_left", "data": {"user_id": "cy", "reason": "left"}}
    names = []
    for more in ([joined], [joined, online], [joined, online, left]):
        state = after(run, (T, STATE), *((T, message) for message in more))
        names.append([(person["name"], person["online"]) for person in state["everyone"]])
    known = [("Ada", True), ("Bo", True)]
    assert names == [[*known, ("Cy", False)], [*known, ("Cy", True)], known]


def test_a_position_that_overtakes_its_join_waits_and_one_after_the_leave_shows_nobody(
    run: Run,
) -> None:
    early = {"type": "location_update", "data": {"user_id": "cy", **SYDNEY, "accuracy": 5}}
    joined = {
        "type": "participant_joined",
        "data": {"user_id": "cy", "display_name": "Cy", "avatar_color": "#778899"},
    }
    left = {"type": "participant_left", "data": {"user_id": "bo", "reason": "removed"}}
    state = after(run, (T, STATE), (T, early))
    assert [p["userId"] for p in state["everyone"]] == ["me", "bo"]
    state = after(run, (T, STATE), (T, early), (T, joined), (T, left), (T, MOVED))
    assert [(p["userId"], p["place"] is not None) for p in state["everyone"]] == [
        ("me", False),
        ("cy", True),
    ]


@pytest.mark.parametrize("age", [0, 4_200, 600_000])
def test_a_position_is_as_old_as_its_fix_and_kept_as_long_as_it_is_repeated(
    run: Run, age: int
) -> None:
    moved = {"type": "location_update", "data": {**MOVED["data"], "age_ms": age}}
    place = after(run, (T, STATE), (T + 9, moved))["everyone"][1]["place"]
    assert (place["at"], place["heard"]) == (T + 9 - age, T + 9)
    for later, kept in ((29_999, True), (30_000, False)):
        gone = after(run, (T, STATE), (T + 9, moved), now=T + 9 + later)["everyone"][1]["place"]
        assert (gone is not None) is kept


def test_what_is_unknown_of_a_position_is_null_and_never_0(run: Run) -> None:
    moved = {"type": "location_update", "data": {"user_id": "bo", **SYDNEY}}
    place = after(run, (T, STATE), (T, moved))["everyone"][1]["place"]
    assert (place["accuracy"], place["speed"], place["heading"]) == (None, None, None)


def test_a_session_that_ended_says_why(run: Run) -> None:
    ended = {"type": "session_ended", "data": {"reason": "ended_by_host"}}
    assert after(run, (T, STATE), (T, ended))["ended"] == "ended_by_host"


@pytest.mark.parametrize(
    "message",
    [None, {}, {"type": "pong", "data": {}}, {"type": "of_the_future", "data": {"x": 1}},
     {"type": "error", "data": {"code": "X"}}, {"type": "location_update", "data": {"lat": "x"}},
     {"type": "participant_updated", "data": {"user_id": "unknown", "online": True}}],
)  # fmt: skip
def test_what_is_not_understood_changes_nothing(run: Run, message: Any) -> None:
    assert after(run, (T, STATE), (T, message)) == after(run, (T, STATE))


def test_my_own_position_is_mine(run: Run) -> None:
    places = run(
        "session",
        """
        const state = m.locatedMyself(m.reduce(m.EMPTY, x.state, 1000), x.place, 2000);
        return [m.locatedMyself(m.EMPTY, x.place, 1) === m.EMPTY, m.everyone(state)[0].place];
        """,
        state=STATE,
        place={**BERLIN, "accuracy": 3},
    )
    assert places[0]
    assert (places[1]["lat"], places[1]["at"]) == (BERLIN["lat"], 2000)


# --- coming back ------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", list(CloseReason), ids=lambda reason: str(reason.label))
def test_the_page_comes_back_exactly_after_the_closes_that_allow_it(
    run: Run, reason: CloseReason
) -> None:
    why = run("backoff", "m.whyStay(x.code)", code=reason.code)
    assert (why is None) is reason.reconnect
    if why is not None:  # and then there are words for it
        assert why == "rejoin" or f"  {why}: {{" in (STATIC / "join.js").read_text(encoding="utf-8")


def test_an_unknown_close_code_is_tried_again(run: Run) -> None:
    assert run("backoff", "m.whyStay(3999)") is None


@pytest.mark.parametrize(
    ("code", "least", "most"),
    [(1006, 500, 1_500), (1012, 1_000, 5_000), (1013, 5_000, 30_000), (4429, 10_000, 15_000)],
)
def test_the_first_delay_is_random_within_the_bounds_of_the_protocol(
    run: Run, code: int, least: float, most: float
) -> None:
    delays = run("backoff", "[0, 0.5, 1].map((r) => m.delayAfter(x.code, 0, () => r))", code=code)
    assert delays == [least, (least + most) / 2, most]


def test_delays_double_up_to_a_ceiling_and_stay_random(run: Run) -> None:
    lows, highs = run(
        "backoff",
        "[0, 1].map((r) => [...Array(40).keys()].map((i) => m.delayAfter(1006, i, () => r)))",
    )
    assert lows[:4] == [500, 1_000, 2_000, 4_000]
    assert highs[:4] == [1_500, 3_000, 6_000, 12_000]
    assert max(highs) == highs[-1] == 30_000
    assert all(high - low >= 1_000 for low, high in zip(lows, highs, strict=True))


# --- sending ----------------------------------------------------------------------------------


def test_a_position_is_sent_at_most_each_2_s_and_the_newest_one(run: Run) -> None:
    sent = run(
        "throttle",
        """
        const t = new m.Throttle();
        const sent = [];
        for (let now = 0; now < 5000; now += 500) {
            t.offer({ now });
            const taken = t.take(now);
            if (taken !== null) sent.push([now, taken.now]);
        }
        return sent;
        """,
    )
    assert sent == [[0, 0], [2000, 2000], [4000, 4000]]


def test_nothing_is_sent_twice_unless_the_device_says_it_twice(run: Run) -> None:
    assert run(
        "throttle",
        """
        const t = new m.Throttle();
        t.offer("here");
        const got = [t.take(0), t.wait(1) === Infinity, t.take(60_000)];
        t.offer("here");
        got.push(t.wait(60_000), t.take(60_000));
        t.offer("here");
        got.push(t.wait(60_001));
        t.withdraw();
        return [...got, t.take(90_000), t.wait(90_000) === Infinity];
        """,
    ) == ["here", True, None, 0, "here", 1_999, None, True]


def test_a_new_connection_gets_the_position_at_once(run: Run) -> None:
    assert run(
        "throttle",
        """
        const t = new m.Throttle();
        t.restart();
        const before = t.wait(0) === Infinity;
        t.offer("here");
        t.take(0);
        t.restart();
        return [before, t.wait(1), t.take(1)];
        """,
    ) == [True, 0, "here"]


# --- words ------------------------------------------------------------------------------------


AVATARS = [
    ("Ada", "A"),
    ("ada lovelace", "a"),  # as it was written
    ("ßeta", "ß"),  # of which the capital is two letters
    ("\u0131lg\u0131n", "\u0131"),
    ("  josé maría", "j"),
    ("Éva", "É"),
    ("E\u0301va", "E\u0301"),
    ("李 小龙", "李"),
    ("👩‍🚀 Sally", "👩‍🚀"),
    ("👨‍👩‍👧‍👦", "👨‍👩‍👧‍👦"),
    ("👍🏽", "👍🏽"),
    ("❤️ Ada", "❤️"),
    ("1️⃣ first", "1️⃣"),
    ("🇩🇪 Ada", "🇩🇪"),
    ("🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"),
    ("שרה", "ש"),
    ("\u200fשרה", "ש"),
    ("\u200b\u2060\ufeffAda", "A"),
    ("\u3164\u2800Ada", "A"),
    ("\u0301\u0301Ada", "A"),
    ("\ue000Ada", "A"),
    ("A\u0301\u0302\u0303\u0304\u0305da", "A\u0301\u0302"),
    ("नमस्ते", "न"),
    ("", "?"),
    ("\u200b\u3164", "?"),
    ("-x", "-"),
]


@pytest.mark.parametrize("segmenter", ["Intl.Segmenter", "undefined"])
@pytest.mark.parametrize(("name", "expected"), AVATARS)
def test_an_avatar_is_the_first_character_that_can_be_seen_as_it_is(
    run: Run, name: str, expected: str, segmenter: str
) -> None:
    assert run("format", f"m.avatar(x.name, {segmenter})", name=name) == expected


@pytest.mark.parametrize(
    ("ms", "expected"),
    [(21_540_000, "5 h 59 min"), (3_600_000, "1 h 00 min"), (1_500_000, "25 min"),
     (299_000, "4:59"), (61_000, "1:01"), (900, "0:01"), (-5, "0:00")],
)  # fmt: skip
def test_what_remains_is_coarse_at_first_and_exact_at_last(
    run: Run, ms: int, expected: str
) -> None:
    assert run("format", "m.remaining(x.ms)", ms=ms) == expected


@pytest.mark.parametrize(
    ("metres", "expected"),
    [(4, "here"), (42.4, "42 m"), (614, "610 m"), (996, "1.0 km"), (8_349, "8.3 km"),
     (12_700, "13 km")],
)  # fmt: skip
def test_lengths_are_as_exact_as_positions_are(run: Run, metres: float, expected: str) -> None:
    assert run("format", "m.length(x.metres)", metres=metres) == expected


def test_a_colour_that_is_none_never_reaches_a_style(run: Run) -> None:
    wrong = ["red", "#12345", "#1234567", "url(x)", "#12345g", "#123456;"]
    colors = run("format", "x.wrong.map((each) => m.safeColor(each))", wrong=wrong)
    assert colors == ["#808080"] * len(wrong)
    assert run("format", "m.safeColor('#aBcDeF')") == "#aBcDeF"


def test_ink_has_at_least_the_contrast_of_4_5_on_any_colour(run: Run) -> None:
    pairs = run(
        "format",
        """
        const found = [];
        for (let i = 0; i < 4096; i += 1) {
            const digits = [8, 4, 0].map((s) => ((i >> s) & 15).toString(16).repeat(2));
            const color = `#${digits.join("")}`;
            found.push([color, m.inkOn(color)]);
        }
        return found;
        """,
    )
    for color, ink in pairs:
        light, dark = sorted((luminance(color), luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, color


def luminance(color: str) -> float:
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"isMe": True, "place": None}, "your position is not shared"),
        ({"isMe": True}, "your position is from 25 s ago"),
        ({"online": False}, "offline · last seen 25 s ago"),
        ({"place": None}, "no position"),
        ({}, "was here 25 s ago"),
        ({"place": {"at": 99_000}}, "live"),
        ({"lastSeen": 100_000}, "was here 25 s ago"),  # a message of now with a fix of then
        ({"isMe": True, "place": {"at": 99_000}}, "sharing your position"),
    ],
)
def test_the_list_says_how_somebody_stands(run: Run, change: dict[str, Any], expected: str) -> None:
    person = {"isMe": False, "online": True, "lastSeen": 75_000, "place": {"at": 75_000}, **change}
    assert run("list", "m.standing(x.person, 100_000)", person=person) == expected


def test_a_row_tells_programs_whose_it_is_and_which_position_it_shows(run: Run) -> None:
    rows = run(
        "list",
        """
        const list = document.createElement("ul");
        const people = new m.PeopleList(list, () => undefined);
        const bo = { userId: "bo", name: "Bo", color: "#112233", online: true, isMe: false,
                     lastSeen: 0, place: { ...x.place, at: 0 } };
        const seen = () => ({ ...list.firstElementChild.dataset });
        people.show([bo], null, 0);
        const before = seen();
        people.show([{ ...bo, place: null }], null, 30_000);
        return [before, seen()];
        """,
        place=BERLIN,
    )
    assert rows == [{"userId": "bo", "lat": "52.520008", "lng": "13.404954"}, {"userId": "bo"}]


def test_who_is_no_longer_live_in_the_list_fades_on_the_map_until_forgotten(run: Run) -> None:
    fresh = run(
        "markers",
        """
        const markers = new m.Markers(document.createElement("div"), () => undefined);
        const person = { userId: "bo", name: "Bo", color: "#112233", online: true, isMe: false,
                         place: { ...x.place, heading: null, at: 0, heard: 29_000 } };
        markers.show([person], 0, true);
        return [0, 20_000, 25_000, 30_000].map((now) => markers.get("bo").freshness(now));
        """,
        place=BERLIN,
    )
    assert fresh == [1, 1, pytest.approx(0.675), pytest.approx(0.35)]


def test_a_marker_says_how_old_a_position_is_that_is_not_live(run: Run) -> None:
    names = run(
        "markers",
        """
        const markers = new m.Markers(document.createElement("div"), () => undefined);
        const place = (age, now) => ({ ...x.place, heading: null, at: now - age, heard: now });
        const bo = { userId: "bo", name: "Bo", color: "#112233", online: true, isMe: false };
        const cases = [[19_999, false], [20_000, false], [150_000, false], [25_000, true]];
        return cases.map(([age, isMe]) => {
            markers.show([{ ...bo, isMe, place: place(age, 500_000) }], 500_000, true);
            return markers.get("bo").name.textContent;
        });
        """,
        place=BERLIN,
    )
    assert names == ["Bo", "Bo · 20 s ago", "Bo · 3 min ago", "You · 25 s ago"]


@pytest.mark.parametrize(("accuracy", "drawn"), [(None, False), (0, False), (400, True)])
def test_an_accuracy_that_is_unknown_has_no_circle(
    run: Run, accuracy: float | None, drawn: bool
) -> None:
    arcs = run(
        "map",
        """
        const root = document.createElement("div");
        root.style.cssText = "position:absolute;width:400px;height:400px";
        root.innerHTML = '<canvas></canvas><div class="markers"></div><div class="scale"></div>';
        document.body.append(root);
        const radii = [];
        const { prototype } = CanvasRenderingContext2D;
        const arc = prototype.arc;
        prototype.arc = function (...given) {
            radii.push(given[2]);
            return arc.apply(this, given);
        };
        const { reduce, everyone } = await import("/static/session.js");
        const moved = { type: "location_update",
                        data: { user_id: "bo", ...x.place, accuracy: x.accuracy } };
        const { now } = await import("/static/clock.js");
        const map = new m.MapView(root, { tileUrl: "", onFollow: () => undefined });
        map.show(everyone(reduce(reduce(undefined, x.state, now()), moved, now())), now());
        radii.length = 0;
        map.zoom(0);
        await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
        prototype.arc = arc;
        root.remove();
        return radii;
        """,
        state=STATE, place=BERLIN, accuracy=accuracy,
    )  # fmt: skip
    assert bool(arcs) is drawn


# --- names on the map -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markers", "expected"),
    [
        ([(0, 0), (200, 0)], [True, True]),  # apart
        ([(0, 0), (20, 2)], [True, False]),  # beside each other: one name
        ([(0, 0), (0, 25)], [False, True]),  # below each other: a marker is on the upper's name
        ([(0, 0, {"shown": False}), (20, 2, {"shown": True})], [False, True]),  # what is seen stays
        ([(0, 0, {"shown": True}), (20, 2, {"first": True})], [False, True]),
        ([(0, 0, {"first": True}), (5, 10)], [True, False]),  # one's own, whatever is on it
        ([(0, 0, {"shift": 30}), (75, 0)], [True, False]),  # where it is, not where it would be
        ([], []),
    ],
)
def test_in_a_crowd_some_names_are_left_out_and_the_rest_can_be_read(
    run: Run, markers: list[Any], expected: list[bool]
) -> None:
    given = [
        {"x": x, "y": y, "width": 60, "shift": 0, "first": False, "shown": False, **dict(*more)}
        for x, y, *more in markers
    ]
    assert run("labels", "m.readable(x.given)", given=given) == expected


@pytest.mark.parametrize(
    ("x", "width", "expected"),
    [
        (200, 120, 0),  # there is room
        (340, 120, -14),  # 4 from the edge
        (370, 120, -43),  # no further than its marker
        (10, 120, 43),
        (30, 120, 34),
        (700, 120, -43),  # out of sight with its marker
        (385, 20, 0),  # a name that its marker covers stays below it
        (200, 600, 104),  # wider than the map: its beginning
    ],
)
def test_names_at_the_edge_move_inwards_and_never_leave_their_marker(
    run: Run, x: float, width: float, expected: float
) -> None:
    assert run("labels", "m.inwards(x.x, x.width, 390)", x=x, width=width) == expected


# --- tiles ------------------------------------------------------------------------------------

RED = "<svg xmlns='http://www.w3.org/2000/svg' width='256' height='256'><rect width='256' height='256' fill='#f00'/></svg>"  # noqa: E501


def test_tiles_are_drawn_once_they_have_come_and_missing_ones_leave_the_map(
    page: Page, run: Run
) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if "/3/4/" in route.request.url:
            route.fulfill(body=RED, content_type="image/svg+xml")
        else:
            route.fulfill(status=404)

    page.route("**/tiles/**", answer)
    pixels = run(
        "tiles",
        """
        const size = { width: 512, height: 256 };
        const canvas = Object.assign(document.createElement("canvas"), size);
        const context = canvas.getContext("2d");
        const draw = () => tiles.draw(context, { x: 0.5, y: 0.4375, zoom: 3 }, size,
                                      { tileAlpha: 1 });
        const pixel = (x) => [...context.getImageData(x, 100, 1, 1).data];
        let tiles;
        await new Promise((loaded) => {
            tiles = new m.Tiles("/tiles/{z}/{x}/{y}.svg", loaded);
            draw();
        });
        const before = pixel(400);
        draw();
        return [before, pixel(400), pixel(100)];
        """,
    )
    assert pixels == [[0, 0, 0, 0], [255, 0, 0, 255], [0, 0, 0, 0]]
    assert {url.rpartition("/tiles/")[2] for url in asked} == {"3/3/3.svg", "3/4/3.svg"}
