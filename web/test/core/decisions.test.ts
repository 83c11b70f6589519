import { describe, expect, test } from "vitest";
import { appLink, hasApp } from "../../src/core/app_link";
import { askedForTime, delayAfter, whyStay } from "../../src/core/backoff";
import { blurred } from "../../src/core/blur";
import { Clock } from "../../src/core/clock";
import { edgeArrows } from "../../src/core/edges";
import { inGroup } from "../../src/core/fit";
import { FixReader } from "../../src/core/fix";
import { freshness, opacity } from "../../src/core/freshness";
import { distance } from "../../src/core/geo";
import { glideTo, isMoving, placeAt, resting } from "../../src/core/glide";
import { SendSchedule } from "../../src/core/rate";
import { fan, stacks } from "../../src/core/spread";

describe("after a close", () => {
  test("codes that are not listed say by their range whether to come back", () => {
    expect(whyStay(4499)).toBe("failed");
    expect(whyStay(4500)).toBeNull();
    expect(whyStay(1006)).toBeNull();
    expect(whyStay(4408)).toBeNull();
  });

  test("waits have full jitter, grow, and end at half a minute", () => {
    expect(delayAfter(1006, 0, () => 0)).toBeLessThanOrEqual(100);
    expect(delayAfter(1006, 0, () => 1)).toBe(500);
    expect(delayAfter(1006, 2, () => 1)).toBeCloseTo(661, 0);
    expect(delayAfter(1006, 40, () => 1)).toBe(30_000);
    expect(delayAfter(1006, 100_000, () => 1)).toBe(30_000);
  });

  test("a wait that the server asks for is kept", () => {
    expect(delayAfter(1012, 0, () => 0)).toBe(1_000);
    expect(delayAfter(1012, 0, () => 1)).toBe(5_000);
    expect(delayAfter(1012, 5, () => 0)).toBe(1_000);
    expect(delayAfter(1012, 40, () => 1)).toBe(31_000);
    expect(delayAfter(4429, 0, () => 0)).toBe(10_000);
    expect([1013, 4429, 1012, 1006].map(askedForTime)).toEqual([true, true, false, false]);
  });
});

describe("the clock", () => {
  test("counts a jump of the wall forwards as time that passed, and none backwards", () => {
    let wall = 5_000;
    let steady = 0;
    const clock = new Clock(
      () => wall,
      () => steady,
    );
    const began = clock.now();
    wall += 600_000;
    expect(clock.now() - began).toBe(600_000);
    wall -= 300_000;
    steady += 1_000;
    wall += 1_000;
    expect(clock.now() - began).toBe(601_000);
    expect(clock.jumpCount).toBe(2);
  });
});

const place = (latitude: number, longitude = 13, more = {}) => ({
  coords: { latitude, longitude, accuracy: 5, ...more },
  timestamp: 0,
});
const fix = (lat: number, at: number, more = {}) =>
  new FixReader().read({ ...place(lat, 13, more), timestamp: at }, at, at)!;

describe("sending", () => {
  test("is every 2 s while one moves, every 15 s while one stands", () => {
    const schedule = new SendSchedule();
    schedule.offer(fix(50, 0));
    expect(schedule.take(0)).not.toBeNull();
    schedule.offer(fix(50.001, 500));
    expect(schedule.wait(500)).toBe(1_500);
    expect(schedule.take(2_000)).not.toBeNull();
    schedule.offer(fix(50.00101, 3_000));
    expect(schedule.wait(3_000)).toBe(14_000);
  });

  test("of several fixes the newest is sent, and each once", () => {
    const schedule = new SendSchedule();
    schedule.offer(fix(50, 0));
    schedule.offer(fix(51, 1));
    expect(schedule.take(1)?.data.lat).toBe(51);
    expect(schedule.wait(100_000)).toBe(Number.POSITIVE_INFINITY);
  });

  test("obeys the server's pace until the next connection", () => {
    const schedule = new SendSchedule();
    schedule.offer(fix(50, 0));
    schedule.take(0);
    schedule.request({ interval_s: 10, min_distance_m: 0 });
    schedule.offer(fix(50.01, 2_000));
    expect(schedule.wait(2_000)).toBe(8_000);
    schedule.request({ interval_s: 999, min_distance_m: -1 });
    expect(schedule.wait(2_000)).toBe(0);
    schedule.request({ interval_s: 10, min_distance_m: 0 });
    schedule.restart();
    expect(schedule.wait(2_000)).toBe(0);
  });

  test("who walks slowly moves", () => {
    const schedule = new SendSchedule();
    schedule.offer(fix(50, 0));
    schedule.take(0);
    schedule.offer(fix(50.00003, 2_000, { speed: 1.2 }));
    expect(schedule.wait(2_000)).toBe(0);
  });
});

describe("a fix", () => {
  test("is as old as its timestamp says", () => {
    const read = new FixReader().read({ ...place(50), timestamp: 1_000 }, 61_000, 500_000);
    expect(read?.taken).toBe(440_000);
  });

  test("without a place is none, and what is out of range is unknown", () => {
    expect(new FixReader().read(place(Number.NaN), 0, 0)).toBeNull();
    const read = new FixReader().read(place(50, 13, { heading: -1, speed: Number.NaN }), 0, 0);
    expect(read?.data).not.toHaveProperty("heading");
    expect(read?.data).not.toHaveProperty("speed");
  });
});

describe("a blurred position", () => {
  const exact = { lat: 52.516272, lng: 13.377722, timestamp: "t", speed: 3, heading: 90 };

  test("is the same for all places of a cell, and within about a kilometre", () => {
    const one = blurred(exact);
    const other = blurred({ ...exact, lat: exact.lat + 0.0008, lng: exact.lng + 0.0008 });
    expect(one).toEqual(other);
    expect(distance(one, exact)).toBeLessThan(800);
    expect(one).not.toHaveProperty("speed");
    expect(one).not.toHaveProperty("heading");
  });

  test.each([
    [90, 0],
    [-90, 180],
    [0, -180],
    [89.999, 179.999],
  ])("is a place also at %d, %d", (lat, lng) => {
    const found = blurred({ ...exact, lat, lng });
    expect(Math.abs(found.lat)).toBeLessThanOrEqual(90);
    expect(Math.abs(found.lng)).toBeLessThanOrEqual(180);
  });
});

test("a position is live for 20 s, fades, and is old from 30 s on", () => {
  expect([0, 19_999, 20_000, 30_000].map(freshness)).toEqual(["live", "live", "fading", "old"]);
  expect(opacity(0)).toBe(1);
  expect(opacity(90_000)).toBeCloseTo(0.45);
});

describe("a glide", () => {
  test("starts where the marker is and takes as long as positions are apart", () => {
    const first = glideTo(resting({ x: 0.5, y: 0.5 }), { x: 0.50001, y: 0.5 }, 0, 2_000);
    expect(placeAt(first, 1_000).x).toBeCloseTo(0.500005);
    const second = glideTo(first, { x: 0.50001, y: 0.50001 }, 1_000, 1_000);
    expect(placeAt(second, 1_000).x).toBeCloseTo(0.500005);
    expect(isMoving(second, 1_999)).toBe(true);
    expect(isMoving(second, 2_000)).toBe(false);
  });

  test("goes the short way over the date line, and leaps where it is far", () => {
    const over = glideTo(resting({ x: 0.99999, y: 0.5 }), { x: 0.00001, y: 0.5 }, 0, 1_000);
    expect(over.duration).toBe(1_000);
    const far = glideTo(resting({ x: 0.1, y: 0.5 }), { x: 0.2, y: 0.5 }, 0, 1_000);
    expect(placeAt(far, 0).x).toBe(0.2);
  });
});

describe("stacks", () => {
  test("hold those who cover each other, in any order of ten thousand", () => {
    expect(
      stacks([
        { x: 0, y: 0 },
        { x: 10, y: 10 },
        { x: 300, y: 0 },
      ]).map((each) => each.members),
    ).toEqual([[0, 1], [2]]);
    const crowd = Array.from({ length: 10_000 }, () => ({ x: 5, y: 5 }));
    expect(stacks(crowd)).toHaveLength(1);
  });

  test("fan out to places of their own", () => {
    for (const count of [1, 2, 7, 49]) {
      const places = fan(count);
      expect(places).toHaveLength(count);
      places.forEach((a, i) => {
        for (const b of places.slice(i + 1)) {
          expect(Math.hypot(a.x - b.x, a.y - b.y)).toBeGreaterThan(36);
        }
      });
    }
  });
});

test("arrows stand at the edge, towards those who are outside", () => {
  const size = { width: 400, height: 800 };
  const padding = { top: 20, right: 20, bottom: 20, left: 20 };
  const arrows = edgeArrows(
    [
      { x: 200, y: 400 },
      { x: 2_000, y: 400 },
      { x: 200, y: -900 },
    ],
    size,
    padding,
  );
  expect(arrows).toEqual([
    { at: 1, x: 380, y: 400, angle: 90 },
    { at: 2, x: 200, y: 20, angle: 0 },
  ]);
});

describe("the app", () => {
  test("gets the link with its server", () => {
    expect(appLink("https://map.example/join/ID")).toBe("locshare://join/map.example/join/ID");
    expect(appLink("http://map.example:8080/a/join/ID-KEY")).toBe(
      "locshare://join/http/map.example:8080/a/join/ID-KEY",
    );
  });

  test("is offered on the platforms that the page names", () => {
    expect(hasApp("android", "android")).toBe(true);
    expect(hasApp("android ios", "ios")).toBe(true);
    expect(hasApp("android", "ios")).toBe(false);
    expect(hasApp("", "other")).toBe(false);
  });
});

describe("the group", () => {
  const here = Array.from({ length: 6 }, (_, i) => ({ lat: 50 + i * 0.001, lng: 8 }));

  test("leaves out one who is far away, and no one of two", () => {
    expect(inGroup([...here, { lat: 48, lng: 8 }])).toEqual([...here.map(() => true), false]);
    expect(inGroup([here[0]!, { lat: 48, lng: 8 }])).toEqual([true, true]);
  });

  test("is everyone where all are far apart", () => {
    expect(inGroup([0, 1, 2, 3].map((lat) => ({ lat, lng: 0 })))).not.toContain(false);
  });
});
