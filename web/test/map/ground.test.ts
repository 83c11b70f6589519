// @vitest-environment happy-dom
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { translator } from "../../src/core/i18n";
import en from "../../src/i18n/en";
import type { Ground } from "../../src/map/ground";

/** What becomes of the next attempts to bring MapLibre. */
let goes: ("unfetched" | "nothing" | "broken" | "well")[];
let tried: number;

class FakeSurface {
  readonly element = document.createElement("div");
  readonly attribution: string = "";
  ready: Promise<void> = Promise.resolve();
  show(): void {}
  setOwn(): void {}
  setOptions(): void {}
  destroy(): void {}
  probe = (): Promise<boolean> => Promise.resolve(true);
}
/** The ground of the modules that stand in for these; other files share theirs. */
let GroundOf: typeof Ground;
let Nothing: new () => Error;
beforeAll(async () => {
  vi.resetModules();
  vi.doMock("../../src/map/canvas", () => ({ CanvasSurface: FakeSurface }));
  vi.doMock("../../src/map/probe", () => ({ canRunMapLibre: () => Promise.resolve(true) }));
  vi.doMock("../../src/map/maplibre", () => ({
    get MapLibreSurface() {
      tried += 1;
      const how = goes.shift() ?? "well";
      if (how === "unfetched") throw new TypeError("Failed to fetch dynamically imported module");
      return class extends FakeSurface {
        override readonly attribution = "MapLibre";
        override ready = how === "well" ? Promise.resolve() : Promise.reject(errorOf(how));
      };
    },
  }));
  GroundOf = (await import("../../src/map/ground")).Ground;
  Nothing = (await import("../../src/map/sources")).NothingFound;
});
afterAll(() => {
  for (const each of ["canvas", "probe", "maplibre"]) vi.doUnmock(`../../src/map/${each}`);
  vi.resetModules();
});
const errorOf = (how: string): Error => (how === "nothing" ? new Nothing() : new Error(""));

let ground: Ground;
let said: string[];

/** Each second of `seconds` the map asks for it. */
async function pass(seconds: number): Promise<void> {
  for (let i = 0; i < seconds; i += 1) {
    void ground.bringMapLibre();
    await vi.advanceTimersByTimeAsync(1_000);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  vi.stubGlobal("fetch", () => Promise.reject(new Error("no network in a test")));
  vi.stubGlobal("requestAnimationFrame", (call: () => void) => setTimeout(call, 1));
  tried = 0;
  goes = [];
  said = [];
  ground = new GroundOf(
    document.createElement("div"),
    {
      root: "https://here.example/",
      sources: [{ name: "world", kind: "tilejson", url: "world.json" }],
      type: "auto",
      isDark: false,
      units: "metric",
      t: translator(en),
      isStill: false,
      padding: { top: 0, right: 0, bottom: 0, left: 0 },
      island: null,
    },
    (text) => said.push(text),
  );
  ground.show({ x: 0.5, y: 0.5, zoom: 2 }, { width: 400, height: 800 });
});
afterEach(() => {
  ground.destroy();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

test.each(["unfetched", "nothing"] as const)(
  "what no network brings is tried again, ever more seldom, until it comes: %s",
  async (how) => {
    goes = Array.from({ length: 8 }, () => how);
    await pass(20);
    expect(tried).toBe(3);
    await pass(300);
    expect(tried).toBe(8);
    await pass(60);
    expect(said).toContain("MapLibre");
  },
);

test("after three failures in a row the canvas stays, until the page is shown anew", async () => {
  goes = Array.from({ length: 4 }, () => "broken" as const);
  await pass(600);
  expect(tried).toBe(3);
  ground.resume(true);
  await pass(600);
  expect(tried).toBe(4);
  ground.resume(true);
  await pass(1);
  expect(said).toContain("MapLibre");
});
