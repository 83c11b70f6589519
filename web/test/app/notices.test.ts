// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Notices } from "../../src/app/notices";
import { type AppState, newState } from "../../src/app/state";

let state: AppState;
let lifecycle: { isHidden: boolean };
let notices: Notices;
let said: string[];
let stop: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  state = newState();
  lifecycle = { isHidden: false };
  notices = new Notices(state, lifecycle);
  said = [];
  const seen = new Set<number>();
  stop = state.notices.subscribe((shown) => {
    for (const { id, text } of shown) {
      if (seen.has(id)) continue;
      seen.add(id);
      said.push(text.replace(/[\u2068\u2069]/g, ""));
    }
  });
});
afterEach(() => {
  stop();
  vi.useRealTimers();
});

const come = (...names: string[]): void => {
  for (const name of names) notices.tell({ kind: "joined", name });
};

test("a notice stays as long as it takes to read, and until somebody looks", () => {
  notices.say("Ada joined");
  notices.say("x".repeat(90));
  const shown = (): number => state.notices.value.length;
  vi.advanceTimersByTime(6_000);
  expect(shown()).toBe(1);
  vi.advanceTimersByTime(3_000);
  expect(shown()).toBe(0);

  lifecycle.isHidden = true;
  notices.say("Bo left");
  vi.advanceTimersByTime(600_000);
  expect(shown()).toBe(1);
  lifecycle.isHidden = false;
  notices.seen();
  vi.advanceTimersByTime(5_999);
  expect(shown()).toBe(1);
  vi.advanceTimersByTime(1);
  expect(shown()).toBe(0);
});

test("a crowd is named by its first and counted from then on", () => {
  come("Ada", "Bo", "Cy");
  expect(said).toEqual(["Ada joined"]);
  vi.advanceTimersByTime(2_000);
  come("Di");
  vi.advanceTimersByTime(2_000);
  expect(said).toEqual(["Ada joined", "3 more people joined"]);
  come("Ed", "Flo");
  vi.advanceTimersByTime(4_000);
  expect(said.slice(2)).toEqual(["2 more people joined"]);
});

test("one who follows another is named, and so is whoever comes later", () => {
  come("Ada", "Bo");
  vi.advanceTimersByTime(4_000);
  expect(said).toEqual(["Ada joined", "Bo joined"]);
  vi.advanceTimersByTime(4_000);
  come("Cy");
  expect(said).toEqual(["Ada joined", "Bo joined", "Cy joined"]);
});

test("who comes is not counted with who goes", () => {
  come("Ada", "Bo");
  notices.tell({ kind: "left", name: "Cy" });
  expect(said).toEqual(["Ada joined", "Cy left"]);
});

test("a hundred people who come within a minute are few notices", () => {
  for (let i = 0; i < 100; i += 1) {
    come(`Person ${i}`);
    vi.advanceTimersByTime(600);
  }
  vi.advanceTimersByTime(4_000);
  expect(said.length).toBeLessThan(20);
  const counted = said.map((each) => Number(/^(\d+) more/.exec(each)?.[1] ?? 1));
  expect(counted.reduce((sum, each) => sum + each, 0)).toBe(100);
});
