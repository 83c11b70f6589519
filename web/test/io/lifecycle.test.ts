import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Clock } from "../../src/core/clock";
import { PageLifecycle } from "../../src/io/lifecycle";

let told: string[];
let page: EventTarget & { hidden: boolean };
let wall: number;
let steady: number;

const happens = (target: EventTarget, type: string, more: object = {}): boolean =>
  target.dispatchEvent(Object.assign(new Event(type), more));

beforeEach(() => {
  vi.useFakeTimers();
  page = Object.assign(new EventTarget(), { hidden: false });
  const view = Object.assign(new EventTarget(), {
    setInterval: globalThis.setInterval.bind(globalThis),
  });
  vi.stubGlobal("window", view);
  vi.stubGlobal("document", page);
  wall = 1_000_000;
  steady = 0;
  told = [];
  new PageLifecycle(
    new Clock(
      () => wall,
      () => steady,
    ),
  ).listen((event) => told.push(event));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("a page is hidden and shown again", () => {
  page.hidden = true;
  happens(page, "visibilitychange");
  page.hidden = false;
  happens(page, "visibilitychange");
  expect(told).toEqual(["hidden", "shown"]);
});

test("a page that comes back whole, without loading, is shown; one that has loaded is as it is", () => {
  happens(window, "pageshow", { persisted: false });
  expect(told).toEqual([]);
  happens(window, "pagehide");
  happens(window, "pageshow", { persisted: true });
  expect(told).toEqual(["leaving", "shown"]);
});

test("the network goes and comes", () => {
  happens(window, "offline");
  happens(window, "online");
  expect(told).toEqual(["offline", "online"]);
});

test("a sleep of the device, which no event tells, is told once the page can be seen", () => {
  const pass = (ms: number): void => {
    wall += ms;
    steady += 1_000;
    vi.advanceTimersByTime(1_000);
  };
  pass(1_000);
  expect(told).toEqual([]);
  pass(20_000);
  expect(told).toEqual(["shown"]);
  pass(600_000);
  expect(told).toEqual(["shown", "slept", "shown"]);
  page.hidden = true;
  pass(600_000);
  expect(told).toHaveLength(3);
  page.hidden = false;
  pass(1_000);
  expect(told).toEqual(["shown", "slept", "shown", "slept", "shown"]);
});
