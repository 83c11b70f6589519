// @vitest-environment happy-dom
import { h, render } from "preact";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Actions } from "../../src/app/actions";
import { SessionModel } from "../../src/app/session_model";
import { newState } from "../../src/app/state";
import { EMPTY, type SessionState } from "../../src/core/session";
import { Storage } from "../../src/io/storage";
import { newContext } from "../../src/views/context";
import { Live } from "../../src/views/live";

let made: number;
let missing: number;

vi.mock("../../src/map/map", () => ({
  get makeMap() {
    if (missing > 0) {
      missing -= 1;
      throw new TypeError("Failed to fetch dynamically imported module");
    }
    return () => {
      made += 1;
      return { zoomBy: () => undefined, setPadding: () => undefined, destroy: () => undefined };
    };
  },
}));

const session = { id: "s", name: "Alps", expiresAt: 1e12, locked: false, linkKey: "" };
const there: SessionState = { ...EMPTY, session, me: { userId: "u", role: "participant" } };

beforeEach(() => {
  vi.useFakeTimers();
  made = 0;
});
afterEach(() => {
  render(null, document.body);
  vi.useRealTimers();
});

/** The screen of a session, in the page. */
function show(): void {
  const state = newState();
  const membership = { userId: "u", token: "t", url: "", name: "Alps", endsAt: 0, shares: false };
  const events = { onHappening: () => undefined, onEnd: () => undefined };
  const model = new SessionModel("s", membership, events, there);
  const actions = { root: "https://here.example/", page: {}, selectPerson: () => undefined };
  const context = newContext(state, actions as unknown as Actions, new Storage(null));
  render(h(Live, { ...context, model }), document.body);
}

test("a map that the network does not bring is fetched again, without an event that says so", async () => {
  missing = 2;
  show();
  await vi.advanceTimersByTimeAsync(4_000);
  expect(made).toBe(0);
  await vi.advanceTimersByTimeAsync(8_000);
  expect(made).toBe(1);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(made).toBe(1);
});

test("the focus that went with the screen of before is on the heading, and what is spoken has its place", async () => {
  missing = 0;
  show();
  await vi.advanceTimersByTimeAsync(100);
  expect(document.activeElement?.tagName).toBe("H1");
  const regions = Array.from(document.querySelectorAll('.banners > [role="status"]'));
  expect(regions).toHaveLength(2);
  for (const each of regions) {
    expect(each.hasAttribute("hidden")).toBe(false);
    expect(each.firstElementChild?.hasAttribute("hidden")).toBe(true);
  }
});
