// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { scenes } from "../../bench/scenes";
import { now } from "../../src/core/clock";
import { translator } from "../../src/core/i18n";
import en from "../../src/i18n/en";
import { createMap } from "../../src/map/group_map";
import { canRunMapLibre } from "../../src/map/probe";
import type { GroupMapHandle } from "../../src/map/surface";

vi.mock("../../src/map/probe", () => ({ canRunMapLibre: vi.fn(() => Promise.resolve(false)) }));

let frames: Map<number, FrameRequestCallback>;
let lastFrame = 0;
let map: GroupMapHandle;
let happened: string[];
let parent: HTMLElement;

/** Let the browser draw once. Says how many pictures had been asked for. */
function drawn(): number {
  const asked = frames;
  frames = new Map();
  for (const each of asked.values()) each(0);
  return asked.size;
}

/** Draw until nothing is asked for any more. */
function settle(): void {
  for (let i = 0; i < 200; i += 1) {
    vi.advanceTimersByTime(50);
    drawn();
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  frames = new Map();
  happened = [];
  vi.stubGlobal("fetch", () => Promise.reject(new Error("no network in a test")));
  vi.stubGlobal("requestAnimationFrame", (callback: FrameRequestCallback) => {
    lastFrame += 1;
    frames.set(lastFrame, callback);
    return lastFrame;
  });
  vi.stubGlobal("cancelAnimationFrame", (id: number) => frames.delete(id));
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(400);
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(800);
  parent = document.body.appendChild(document.createElement("div"));
  map = createMap(
    parent,
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
    {
      onPerson: (userId) => happened.push(userId),
      onStack: (userIds) => happened.push(`stack of ${userIds.length}`),
      onGround: () => happened.push("ground"),
      onFollow: (what) => happened.push(`follow ${what.kind}`),
    },
  );
});

afterEach(() => {
  map.destroy();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const transformOf = (userId: string): string =>
  parent.querySelector<HTMLElement>(`[data-user="${userId}"]`)!.style.transform;

describe("the map", () => {
  test("draws once for however many changes, and nothing at rest", () => {
    for (let i = 0; i < 5; i += 1) map.show(scenes.scripts(now()), now());
    expect(frames.size).toBeLessThanOrEqual(2); // the map's and the ground's
    settle();
    expect(drawn()).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    expect(parent.querySelectorAll("[data-user]").length).toBe(16);
  });

  test("draws nothing in a second in which nobody looks different, and once when somebody ages", () => {
    const people = scenes.scripts(now());
    const start = now();
    map.show(people, start);
    settle();
    map.show(people, start + 1_000);
    expect(frames.size).toBe(0);
    map.show(people, start + 45_000);
    expect(frames.size).toBe(1);
    settle();
    expect(parent.querySelector('[data-user="user-5"] small')!.textContent).toBe(" · 45 s ago");
    map.show(people, start + 46_000);
    expect(frames.size).toBe(0);
  });

  test("is one of countries soon, where nobody has a place", () => {
    const people = scenes.scripts(now()).map((each) => ({ ...each, place: null }));
    vi.mocked(canRunMapLibre).mockClear();
    map.show(people, now());
    settle(); // as long as it takes, nothing comes before the group
    expect(canRunMapLibre).not.toHaveBeenCalled();
    map.show(people, now() + 2_000);
    expect(canRunMapLibre).toHaveBeenCalledOnce();
  });

  test("draws nothing while the page is hidden, and on return everyone where they are", () => {
    const people = scenes.scripts(now());
    map.show(people, now());
    settle();
    const before = transformOf("user-5");
    map.pause();
    vi.advanceTimersByTime(60_000);
    const moved = people.map((each) => ({
      ...each,
      place: {
        ...each.place!,
        lat: each.place!.lat + (each.userId === "user-5" ? 0.001 : 0),
        heard: now(),
      },
    }));
    map.show(moved, now());
    expect(drawn()).toBe(0);
    expect(transformOf("user-5")).toBe(before);
    map.resume();
    drawn();
    expect(transformOf("user-5")).not.toBe(before);
  });

  test("follows the group until the user moves it, and again when asked", () => {
    map.show(scenes.scripts(now()), now());
    settle();
    const root = parent.querySelector<HTMLElement>(".map")!;
    root.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
    expect(happened).toEqual(["follow nobody"]);
    settle();
    const shift = (): string => parent.querySelector<HTMLElement>(".map-markers")!.style.transform;
    const moved = shift();
    map.show(scenes.scripts(now()), now());
    settle();
    expect(shift()).toBe(moved);
    map.follow({ kind: "everyone" });
    settle();
    expect(shift()).not.toBe(moved);
  });

  test("brings who is selected onto the screen, clear of a sheet, and rests where they are", () => {
    map.show(scenes.group(now()), now());
    settle();
    map.select("user-48"); // far away
    settle();
    expect(happened).toEqual(["follow nobody"]);
    expect(parent.querySelector('[data-user="user-48"]')!.className).toContain("is-selected");
    expect(transformOf("user-48")).toBe("translate(200.0px,400.0px)");
    map.setOptions({ padding: { top: 0, right: 0, bottom: 500, left: 0 } });
    settle();
    const [, y] = /,(-?[\d.]+)px\)/.exec(transformOf("user-48"))!;
    const [, shift] = /,(-?[\d.]+)px,0/.exec(
      parent.querySelector<HTMLElement>(".map-markers")!.style.transform,
    ) ?? [0, "0"];
    expect(Number(y) + Number(shift)).toBeCloseTo(150, 0);
  });

  test("stays on the canvas where MapLibre cannot run", async () => {
    map.show(scenes.scripts(now()), now());
    settle();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(parent.querySelector(".map-canvas")).not.toBeNull();
    expect(parent.querySelector(".map-ground")).toBeNull();
  });

  test("leaves nothing behind when it is destroyed", () => {
    map.show(scenes.group(now()), now());
    map.destroy();
    expect(parent.childElementCount).toBe(0);
    settle();
    expect(drawn()).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
