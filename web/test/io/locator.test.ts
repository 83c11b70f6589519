import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { now } from "../../src/core/clock";
import { ageOf, type Fix } from "../../src/core/fix";
import { type LocationStatus, Locator } from "../../src/io/locator";

type Found = (position: object) => void;
type Failed = (error: { code: number }) => void;
type Does = ((found: Found, failed: Failed) => void) | null;

/** A device that does what the test says. */
class Device {
  readonly watches = new Map<number, [Found, Failed]>();
  answer: Does = null;
  newWatch: Does = null;
  armed = 0;
  asked = 0;
  precise = true;
  maximumAge = -1;

  watchPosition(found: Found, failed: Failed, options: { enableHighAccuracy: boolean }): number {
    this.armed += 1;
    this.precise = options.enableHighAccuracy;
    this.watches.set(this.armed, [found, failed]);
    if (this.newWatch !== null) setTimeout(this.newWatch, 1, found, failed);
    return this.armed;
  }

  clearWatch(id: number): void {
    this.watches.delete(id);
  }

  getCurrentPosition(found: Found, failed: Failed, options: { maximumAge: number }): void {
    this.asked += 1;
    this.maximumAge = options.maximumAge;
    if (this.answer !== null) setTimeout(this.answer, 1, found, failed);
  }

  give(age = 0, more: object = {}): void {
    this.watches.forEach(([found]) => {
      found(at(age, more));
    });
  }

  fail(code: number): void {
    this.watches.forEach(([, failed]) => {
      failed({ code });
    });
  }
}

const at = (age = 0, more: object = {}): object => ({
  coords: { latitude: 52.5, longitude: 13.4, accuracy: 8, ...more },
  timestamp: Date.now() - age,
});
const DEAD: [string, Does][] = [
  ["in error", (_, failed) => failed({ code: 2 })],
  ["timing out", (_, failed) => failed({ code: 3 })],
  ["without a word", () => undefined],
  ["with nonsense", (found) => found(at(0, { latitude: Number.NaN }))],
];
const answers: Does = (found) => found(at());

let device: Device;
let permission: { state: string; onchange: (() => void) | null };
let locator: Locator;
let fixes: { fix: Fix; age: number }[];
let told: LocationStatus[];

const ages = (): number[] => fixes.map((each) => Math.round(each.age / 100) / 10);

async function start(): Promise<void> {
  locator.start();
  await Promise.resolve();
  await Promise.resolve();
}

beforeEach(async () => {
  vi.useFakeTimers();
  device = new Device();
  permission = { state: "granted", onchange: null };
  vi.stubGlobal("window", Object.assign(globalThis, { isSecureContext: true }));
  vi.stubGlobal("navigator", {
    geolocation: device,
    permissions: { query: () => Promise.resolve(permission) },
  });
  fixes = [];
  told = [];
  locator = new Locator({
    onFix: (fix) => fixes.push({ fix, age: ageOf(fix, now()) }),
    onStatus: (status) => {
      if (told[told.length - 1] !== status) told.push(status);
    },
  });
  await start();
  expect(told).toEqual(["asking"]);
  device.give();
  expect(told).toEqual(["asking", "sharing"]);
});
afterEach(() => {
  locator.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const pass = (seconds: number): void => void vi.advanceTimersByTime(seconds * 1_000);

test("who moves has a watch, and is not asked", () => {
  for (let i = 0; i < 100; i += 1) {
    pass(1);
    device.give(0, { latitude: 52.5 + i / 1_000 });
  }
  expect([device.armed, device.watches.size, device.asked]).toEqual([1, 1, 0]);
});

test("who has stood for a minute is asked each 15 s or so, without a hot watch", () => {
  device.answer = answers;
  pass(90);
  expect(device.watches.size).toBe(0);
  const before = device.asked;
  pass(60);
  expect(device.asked - before).toBeGreaterThanOrEqual(4);
  expect(Math.max(...ages())).toBe(0);
  expect(device.maximumAge).toBeLessThanOrEqual(5_000);
  device.answer = (found) => found(at(0, { latitude: 52.6 }));
  pass(20);
  expect(device.watches.size).toBe(1);
  expect(told).toEqual(["asking", "sharing"]);
});

test("a low battery is spared", () => {
  expect(device.precise).toBe(true);
  locator.setFrugal(true);
  expect(device.precise).toBe(false);
});

describe.each(DEAD)("of a device that died %s", (_, does) => {
  test("nothing is repeated, and its owner is told", () => {
    device.answer = does;
    pass(25);
    expect(ages()).toEqual([0]);
    expect(told).toEqual(["asking", "sharing", "unavailable"]);
    pass(600);
    expect(ages()).toEqual([0]);
  });

  test("it is asked again and again, but not in a loop", () => {
    device.answer = device.newWatch = does;
    pass(600);
    expect(device.watches.size).toBeLessThanOrEqual(1);
    expect(device.armed).toBeLessThanOrEqual(20);
    expect(device.asked).toBeGreaterThan(20);
    expect(device.asked).toBeLessThanOrEqual(60);
  });
});

test("a watch that fails whenever it has given a position is not armed in a loop", () => {
  device.newWatch = (found, failed) => {
    found(at());
    failed({ code: 2 });
  };
  device.answer = DEAD[0]![1];
  pass(600);
  expect(device.armed).toBeLessThanOrEqual(60);
});

test.each([2, 3])("after error %i the watch is armed anew, and sharing goes on", (code) => {
  pass(5);
  device.fail(code);
  expect([device.armed, device.watches.size]).toEqual([2, 1]);
  pass(4);
  expect(told).toEqual(["asking", "sharing", "unavailable"]);
  device.give();
  expect(told).toEqual(["asking", "sharing", "unavailable", "sharing"]);
});

test("a device that comes back is found without its owner doing anything", () => {
  device.answer = device.newWatch = DEAD[2]![1];
  pass(300);
  expect(told[told.length - 1]).toBe("unavailable");
  device.answer = answers;
  pass(20);
  expect(told[told.length - 1]).toBe("sharing");
});

test("a position that a device repeats grows old, and its owner is told", () => {
  const first = at();
  device.give();
  device.answer = (found) => found(first);
  pass(90);
  const seen = ages().slice(2);
  expect(seen.length).toBeGreaterThanOrEqual(3);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen[seen.length - 1]).toBeGreaterThan(60);
  expect(told).toEqual(["asking", "sharing", "stale"]);
});

test("a page that is shown again arms its watch anew, and asks", () => {
  locator.resume();
  expect([device.armed, device.watches.size, device.asked]).toEqual([2, 1, 1]);
});

test("a refusal is told, and the device left alone until that changes", () => {
  device.fail(1);
  expect(told[told.length - 1]).toBe("denied");
  const before = [device.armed, device.asked];
  pass(600);
  expect([device.armed, device.asked]).toEqual(before);
  device.newWatch = answers;
  permission.onchange?.();
  pass(1);
  expect(told[told.length - 1]).toBe("sharing");
});

test("a permission that is taken away is told at once, without waiting for the device", () => {
  permission.state = "denied";
  permission.onchange?.();
  expect(told[told.length - 1]).toBe("denied");
  const before = device.asked;
  pass(600);
  expect(device.asked).toBe(before);
});

test("while somebody thinks about the permission, nothing is said of a lost signal", async () => {
  locator.stop();
  permission.state = "prompt";
  told = [];
  await start();
  pass(120);
  expect(told).toEqual(["asking"]);
});

test("an answer from a cache does not replace a newer position", () => {
  pass(3);
  device.give(0, { latitude: 1 });
  pass(3);
  device.give(4_000, { latitude: 2 });
  expect(fixes.map((each) => each.fix.data.lat)).toEqual([52.5, 1]);
});

test.each([-3, 3])("setting the clock by %i hours makes no position younger", (hours) => {
  const first = at();
  device.answer = (found) => found(first);
  vi.setSystemTime(Date.now() + hours * 3_600_000);
  pass(40);
  const seen = ages().slice(1);
  expect(seen.length).toBeGreaterThan(1);
  seen.forEach((age, n) => {
    expect(age).toBeGreaterThanOrEqual(12 * (n + 1) - 1);
  });
});

test("who stops it is not asked, and hears nothing", () => {
  locator.stop();
  const before = fixes.length;
  pass(600);
  device.give();
  expect(fixes.length).toBe(before);
  expect(told[told.length - 1]).toBe("off");
});

test.each([
  ["insecure", false],
  ["unsupported", true],
])("without a position to have it says why: %s", (status, isSecureContext) => {
  locator.stop();
  vi.stubGlobal("window", Object.assign(globalThis, { isSecureContext }));
  vi.stubGlobal("navigator", {});
  const said: string[] = [];
  new Locator({ onFix: () => undefined, onStatus: (each) => said.push(each) }).start();
  expect(said).toEqual([status]);
});
