"""The page's own position: what it asks of the device, what it sends of the answers and how old it
says they are, and what it tells its owner.

The device is a stand-in inside a real Chromium and the clock is ours, so that minutes take no time.
With Chromium's own geolocation and the real server: tests/e2e/test_browser.py.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.web.conftest import ORIGIN, Run, serve_files

pytestmark = pytest.mark.browser

DEVICE = """
    const watches = new Map();
    let count = 0;
    const coords = (more) => ({ latitude: 52.5, longitude: 13.4, accuracy: 8, ...more });
    const fix = (age, more) => ({ coords: coords(more), timestamp: Date.now() - age });
    const device = window.device = {
        answer: null,           // what getCurrentPosition does: a function of (found, failed)
        newWatch: null,         // what a watch does at once
        armed: 0, asked: 0, live: () => watches.size,
        give: (age = 0, more = {}) =>
            [...watches.values()].forEach(([found]) => found(fix(age, more))),
        fail: (code) => [...watches.values()].forEach(([, failed]) => failed({ code })),
    };
    window.fix = fix;
    Object.defineProperty(navigator, "geolocation", { value: {
        watchPosition(found, failed, options) {
            count += 1;
            device.armed += 1;
            device.watchOptions = options;
            watches.set(count, [found, failed]);
            if (device.newWatch !== null) setTimeout(() => device.newWatch(found, failed), 1);
            return count;
        },
        clearWatch: (id) => watches.delete(id),
        getCurrentPosition(found, failed, options) {
            device.asked += 1;
            device.askOptions = options;
            if (device.answer !== null) setTimeout(() => device.answer(found, failed), 1);
        },
    } });
    window.permission = Object.assign(new EventTarget(), { state: "granted" });
    navigator.permissions.query = async () => permission;
"""
START = """async () => {
    const { Locator } = await import("/static/locator.js");
    window.sent = [];
    window.told = [];
    window.places = [];
    window.online = true;
    window.locator = new Locator({
        send: (place) => online && sent.push([Math.round(performance.now()), place]) > 0,
        onPlace: (place) => places.push(place),
        onStatus: (status) => told.at(-1) === status || told.push(status),
    });
    locator.start();
    await null;
}"""


class Phone:
    """A page whose position is watched, and its device."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def do(self, script: str) -> Any:
        """The value of an expression. Playwright would call it if it were a function."""
        return self.page.evaluate(f"() => {{ const x = {script}; return x; }}")

    def set(self, script: str) -> None:
        self.page.evaluate(f"() => {{ {script}; }}")

    def pass_time(self, seconds: float) -> None:
        self.page.clock.run_for(round(seconds * 1000))

    def start(self) -> None:
        self.page.evaluate(START)

    @property
    def told(self) -> list[str]:
        told: list[str] = self.do("told")
        return told

    @property
    def ages(self) -> list[float]:
        """Of what was sent, in seconds."""
        return [round(place["age_ms"] / 1000, 1) for _, place in self.do("sent")]

    def counted(self) -> tuple[int, int, int]:
        """Watches armed, watches living, questions asked."""
        armed, live, asked = self.do("[device.armed, device.live(), device.asked]")
        return armed, live, asked


@pytest.fixture
def phone(browser: Browser) -> Iterator[Phone]:
    """Started, with its first position, which is of now."""
    page = browser.new_page()
    page.route(f"{ORIGIN}/**", serve_files)
    page.clock.install()
    page.goto(f"{ORIGIN}/empty")
    page.clock.pause_at(4_000_000_000)
    page.evaluate(DEVICE)
    phone = Phone(page)
    phone.start()
    assert phone.told == ["asking"]
    phone.set("device.give()")
    assert (phone.told, phone.ages) == (["asking", "sharing"], [0])
    yield phone
    assert phone.errors == []
    page.close()


DEAD = {
    "in-error": "(found, failed) => failed({ code: 2 })",
    "timing-out": "(found, failed) => failed({ code: 3 })",
    "without-a-word": "() => undefined",
    "with-nonsense": "(found) => found(fix(0, { latitude: NaN }))",
}


def test_who_stands_still_is_asked_and_what_the_device_answers_is_sent(phone: Phone) -> None:
    phone.set("device.answer = (found) => found(fix(0))")
    phone.pass_time(60)
    assert phone.ages == [0] * 5
    assert phone.told == ["asking", "sharing"]
    assert phone.counted() == (1, 1, 4), "a device that answers keeps its watch"
    assert phone.do("device.askOptions.maximumAge") <= 5_000


def test_who_moves_is_not_asked(phone: Phone) -> None:
    for _ in range(40):
        phone.pass_time(1)
        phone.set("device.give()")
    assert phone.counted() == (1, 1, 0)
    times = [at for at, _ in phone.do("sent")]
    assert min(b - a for a, b in pairwise(times)) >= 2_000


@pytest.mark.parametrize("answer", DEAD.values(), ids=DEAD)
def test_of_a_device_that_died_nothing_is_repeated_and_its_owner_is_told(
    phone: Phone, answer: str
) -> None:
    phone.set(f"device.answer = {answer}")
    phone.pass_time(25)
    assert phone.ages == [0], "what others see grows old"
    assert phone.told == ["asking", "sharing", "unavailable"]
    phone.pass_time(600)
    assert phone.ages == [0]
    assert phone.told == ["asking", "sharing", "unavailable"]


@pytest.mark.parametrize("answer", DEAD.values(), ids=DEAD)
def test_a_device_that_is_dead_is_asked_again_and_again_but_not_in_a_loop(
    phone: Phone, answer: str
) -> None:
    phone.set(f"device.answer = device.newWatch = {answer}")
    phone.pass_time(600)
    armed, live, asked = phone.counted()
    assert live == 1
    assert 5 <= armed <= 15
    assert 30 <= asked <= 60


def test_a_watch_that_fails_whenever_it_has_given_a_position_is_not_armed_in_a_loop(
    phone: Phone,
) -> None:
    phone.set("device.newWatch = (found, failed) => { found(fix(0)); failed({ code: 2 }); }")
    phone.set(f"device.answer = {DEAD['in-error']}")
    phone.pass_time(600)
    assert phone.counted()[0] <= 60


def test_a_watch_that_fell_silent_is_armed_anew_and_gives_what_the_device_has(phone: Phone) -> None:
    phone.set(f"device.answer = {DEAD['timing-out']}")
    phone.set("device.newWatch = (found) => found(fix(0))")
    phone.pass_time(60)
    assert phone.told == ["asking", "sharing"], "and nobody is troubled"
    assert phone.ages == [0] * 5
    assert phone.counted()[:2] == (5, 1)


@pytest.mark.parametrize("code", [2, 3])
def test_after_an_error_the_watch_is_armed_anew_and_sharing_goes_on(
    phone: Phone, code: int
) -> None:
    phone.pass_time(5)
    phone.set(f"device.fail({code})")
    assert phone.counted()[:2] == (2, 1)
    phone.pass_time(4)
    assert phone.told == ["asking", "sharing", "unavailable"]
    phone.set("device.give()")
    assert phone.told == ["asking", "sharing", "unavailable", "sharing"]
    assert phone.ages == [0, 0]


def test_a_device_that_comes_back_is_found_without_its_owner_doing_anything(phone: Phone) -> None:
    phone.set(f"device.answer = device.newWatch = {DEAD['without-a-word']}")
    phone.pass_time(300)
    assert phone.told[-1] == "unavailable"
    phone.set("device.answer = (found) => found(fix(0))")
    phone.pass_time(20)
    assert phone.told == ["asking", "sharing", "unavailable", "sharing"]
    assert set(phone.ages[1:]) == {0}


@pytest.mark.parametrize("how", ["answer", "newWatch"])
def test_a_position_that_a_device_repeats_is_sent_with_its_age_and_its_owner_is_told(
    phone: Phone, how: str
) -> None:
    phone.set("window.first = fix(0); device.give(0)")
    phone.set(f"device.answer = {DEAD['timing-out']}")
    phone.set(f"device.{how} = (found) => found(first)")
    phone.pass_time(90)
    ages = phone.ages[2:]
    assert len(ages) >= 3
    assert ages == sorted(ages)
    assert ages[0] > 10
    assert ages[-1] > 60
    assert phone.told == ["asking", "sharing", "stale"]


def test_a_page_that_becomes_visible_arms_its_watch_anew_and_asks(phone: Phone) -> None:
    phone.set("locator.resume()")
    assert phone.counted() == (2, 1, 1)


def test_a_refusal_is_told_and_the_device_left_alone_until_something_changes(phone: Phone) -> None:
    phone.set("device.fail(1)")
    assert phone.told[-1] == "denied"
    before = phone.counted()
    phone.pass_time(600)
    assert phone.counted() == before
    assert phone.ages == [0]
    phone.set("device.newWatch = (found) => found(fix(0)); permission.state = 'granted'")
    phone.set("permission.onchange()")
    phone.pass_time(1)
    assert phone.told[-1] == "sharing"


def test_while_somebody_thinks_about_the_permission_nothing_is_said_of_a_lost_signal(
    phone: Phone,
) -> None:
    phone.set("locator.stop(); permission.state = 'prompt'")
    phone.start()
    phone.pass_time(120)
    assert phone.told == ["asking"]
    assert phone.counted()[2] == 0


def test_a_device_that_never_gives_anything_is_told_though_it_is_allowed(phone: Phone) -> None:
    phone.set("locator.stop()")
    phone.start()
    phone.pass_time(30)
    assert phone.told == ["asking", "unavailable"]


def test_a_new_connection_gets_the_position_with_its_age(phone: Phone) -> None:
    phone.set("online = false")
    phone.pass_time(5)
    phone.set("device.give(1500)")
    assert phone.ages == [0]
    phone.pass_time(4)
    phone.set("online = true; locator.connected()")
    assert phone.ages == [0, 5.5]


def test_an_answer_from_a_cache_does_not_replace_a_newer_position(phone: Phone) -> None:
    phone.pass_time(3)
    phone.set("device.give(0, { latitude: 1 })")
    phone.pass_time(3)
    phone.set("device.give(4000, { latitude: 2 })")
    phone.pass_time(3)
    assert [place["lat"] for _, place in phone.do("sent")] == [52.5, 1]


@pytest.mark.parametrize("hours", [-3, 3])
def test_setting_the_clock_makes_no_position_younger(phone: Phone, hours: int) -> None:
    phone.set("window.first = fix(0); device.answer = (found) => found(first)")
    phone.set(f"const real = Date.now; Date.now = () => real() + {hours} * 3_600_000")
    phone.pass_time(40)
    assert all(age >= 12 * (n + 1) for n, age in enumerate(phone.ages[1:]))
    assert len(phone.ages) > 2


def test_who_stops_it_is_not_asked_and_sends_nothing(phone: Phone) -> None:
    phone.set("window.late = null; device.answer = (found) => { late = found; }")
    phone.pass_time(12.5)
    phone.set("locator.stop(); late(fix(0))")
    phone.pass_time(600)
    assert phone.counted() == (1, 0, 1)
    assert phone.ages == [0]


# --- what a position says ---------------------------------------------------------------------

WALL = 1_772_366_400_000  # 2026-03-01T12:00:00Z
READ = """
    const reader = new m.FixReader();
    return x.fixes.map(([timestamp, wall, coords]) => {
        const now = wall - 1_700_000_000_000;
        const position = { coords: { latitude: 1, longitude: 2, ...coords }, timestamp };
        const fix = reader.read(position, wall, now);
        return fix && m.report(fix, now);
    });
"""


KNOWN: dict[str, list[Any]] = {
    "accuracy": [0, 8, 100_000],
    "altitude": [-12_000, 0, 100_000],
    "speed": [0, 1_000],
    "heading": [0, 360],
}
UNKNOWN: dict[str, list[Any]] = {
    "accuracy": ["NaN", -1, None, 100_001, "Infinity", "'8'"],
    "altitude": ["NaN", None, -12_001, 1e9],
    "speed": ["NaN", -1, None, 1_001],
    "heading": ["NaN", -1, None, 361],
}


@pytest.mark.parametrize(
    ("field", "value", "known"),
    [(field, value, True) for field, values in KNOWN.items() for value in values]
    + [(field, value, False) for field, values in UNKNOWN.items() for value in values],
)
def test_what_a_device_does_not_know_is_absent_and_never_0(
    run: Run, field: str, value: Any, known: bool
) -> None:
    given = "null" if value is None else value
    report = run(
        "fix",
        f"""
        const coords = {{ latitude: 1, longitude: 2, {field}: {given} }};
        const fix = new m.FixReader().read({{ coords, timestamp: 5 }}, 5, 5);
        return m.report(fix, 5);
        """,
    )
    rest = {"lat": 1, "lng": 2, "timestamp": "1970-01-01T00:00:00.005Z", "age_ms": 0}
    assert report == (rest | {field: value} if known else rest)


@pytest.mark.parametrize(
    ("coords", "place"),
    [
        ({"longitude": 190}, (1, -170)), ({"longitude": -180}, (1, -180)), ({"latitude": 91}, None),
        ({"latitude": None}, None), ({"longitude": None}, None), ({"latitude": "1"}, None),
        ({"latitude": -90}, (-90, 2)),
    ],
)  # fmt: skip
def test_a_place_that_is_none_is_no_fix(run: Run, coords: Any, place: Any) -> None:
    (report,) = run("fix", READ, fixes=[[WALL, WALL, coords]])
    assert (report and (report["lat"], report["lng"])) == place


@pytest.mark.parametrize(
    ("fixes", "ages"),
    [
        ([(0, 0), (0, 9)], [0, 9]),  # the same again
        ([(-4, 0), (1, 6), (60, 65.5)], [4, 5, 5.5]),  # old ones
        ([(300, 0), (301, 1)], [0, 0]),  # of a clock that is fast
        ([(-1e6, 0), (-1e6 + 1, 1), (-1e6 + 1, 9)], [0, 0, 8]),  # of one that counts otherwise
        ([(n - 300, n) for n in range(7)], [300] * 5 + [0, 0]),  # of one that is slow, soon known
        ([(n - 300, n) for n in range(7)] + [(-294, 20)], [300] * 5 + [0, 0, 14]),
        (
            [(n, 60 + n / 10) for n in range(9)],
            [round(60 - 0.9 * n, 1) for n in range(9)],
        ),  # queued
    ],
    ids=["repeated", "old", "fast-clock", "another-epoch", "slow-clock", "slow-and-dead", "queued"],
)
def test_the_age_of_a_fix_is_by_the_devices_own_time_less_the_error_of_its_clock(
    run: Run, fixes: list[tuple[float, float]], ages: list[float]
) -> None:
    given = [[WALL + taken * 1000, WALL + wall * 1000, {}] for taken, wall in fixes]
    reports = run("fix", READ, fixes=given)
    assert [each["age_ms"] / 1000 for each in reports] == [pytest.approx(age) for age in ages]


def test_fixes_of_other_places_with_one_timestamp_are_of_now(run: Run) -> None:
    moving = [[WALL, WALL + 9_000 * n, {"latitude": n}] for n in range(3)]
    assert [each["age_ms"] for each in run("fix", READ, fixes=moving)] == [0, 0, 0]


# --- the clock --------------------------------------------------------------------------------


def test_time_only_grows_whatever_is_done_to_the_clock(browser: Browser) -> None:
    page = browser.new_page()
    page.route(f"{ORIGIN}/**", serve_files)
    page.goto(f"{ORIGIN}/empty")
    seen = page.evaluate(
        """async () => {
            let [wall, steady] = [1_000_000, 500];
            Date.now = () => wall;
            performance.now = () => steady;
            const { now } = await import("/static/clock.js");
            const start = now();
            const step = (byWall, bySteady) => {
                wall += byWall;
                steady += bySteady;
                return now() - start;
            };
            return [step(1000, 1000), step(-3_600_000, 1000), step(1000, 1000),
                    step(600_000, 5) /* slept */, step(900, 0), step(0, 900), step(1000, 1000)];
        }"""
    )
    page.close()
    assert seen == [1_000, 2_000, 3_000, 603_000, 603_000, 603_900, 604_900]
