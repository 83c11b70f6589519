// @vitest-environment happy-dom
import { beforeEach, describe, expect, test } from "vitest";
import { scenes } from "../../bench/scenes";
import { type Camera, fitted, panned } from "../../src/core/camera";
import { translator } from "../../src/core/i18n";
import type { Person } from "../../src/core/session";
import en from "../../src/i18n/en";
import { MarkerPane } from "../../src/map/pane";

const SIZE = { width: 400, height: 800 };
const PADDING = { top: 0, right: 0, bottom: 0, left: 0 };
const FIT = { top: 60, right: 60, bottom: 60, left: 60 };
const NOW = 1_000_000;

let pane: MarkerPane;
let happened: string[];
let writes: number;

beforeEach(() => {
  happened = [];
  pane = new MarkerPane(
    { t: translator(en), units: "metric", padding: PADDING, island: null },
    {
      onPerson: (userId) => happened.push(userId),
      onStack: (userIds) => happened.push(`stack of ${userIds.length}`),
      onArrows: (userIds) => happened.push(`arrows to ${userIds.length}`),
    },
  );
  document.body.appendChild(pane.element);
});

/** Show people, with the map fitted to them. */
function show(people: readonly Person[], now = NOW): Camera {
  pane.show(people, now, true);
  const camera = fitted(
    pane.located.map((each) => each.point),
    SIZE,
    FIT,
  )!;
  pane.move(camera, SIZE, now);
  pane.layout(now);
  return camera;
}

const all = (selector: string): HTMLElement[] =>
  Array.from(pane.element.querySelectorAll<HTMLElement>(selector));
const shown = (selector: string): HTMLElement[] =>
  all(selector).filter((each) => each.style.display !== "none");
const placeOf = (element: HTMLElement): [number, number] => {
  const [, x, y] = /translate\((-?[\d.]+)px, ?(-?[\d.]+)px\)/.exec(element.style.transform)!;
  return [Number(x), Number(y)];
};
const nameOf = (userId: string): string =>
  all(`[data-user="${userId}"] .mk-name`)[0]!.textContent ?? "";

function countWrites(work: () => void): number {
  writes = 0;
  const observer = new MutationObserver(() => undefined);
  observer.observe(pane.element, { subtree: true, attributes: true, childList: true });
  work();
  writes = observer.takeRecords().length;
  observer.disconnect();
  return writes;
}

describe("the pane of markers", () => {
  test("shows 49 people in one place as one stack with their number, and no single name", () => {
    show(scenes.pile(NOW));
    expect(shown("[data-stack]")).toHaveLength(1);
    expect(shown("[data-user]")).toHaveLength(0);
    expect(shown(".mk-count")[0]!.textContent).toBe("49");
    expect(all("[data-stack] .mk-name")[0]!.textContent).toBe("You and 48 people");
    expect(shown("[data-user] .mk-accuracy")).toHaveLength(0);
  });

  test("fans a stack out, with a line to each true place, and closes it again", () => {
    show(scenes.pile(NOW));
    shown(".mk-count")[0]!.click();
    expect(happened).toEqual(["stack of 49"]);
    pane.openStack(scenes.pile(NOW).map((each) => each.userId));
    pane.layout(NOW);
    expect(shown("[data-user]")).toHaveLength(49);
    expect(all(".fan line").filter((each) => each.getAttribute("x1") !== null)).toHaveLength(49);
    shown("[data-user] .mk-dot")[3]!.click();
    expect(happened[1]).toMatch(/^user-/);
    expect(pane.closeStack()).toBe(true);
    pane.layout(NOW);
    expect(shown("[data-user]")).toHaveLength(0);
    expect(pane.closeStack()).toBe(false);
  });

  test("draws a drag with one write, and a picture in which nothing moves with none", () => {
    const camera = show(scenes.group(NOW));
    expect(countWrites(() => pane.move(panned(camera, 7, 5), SIZE, NOW))).toBeLessThanOrEqual(1);
    expect(countWrites(() => pane.glide(NOW))).toBe(0);
    pane.layout(NOW);
    expect(countWrites(() => pane.show(scenes.group(NOW), NOW, true))).toBe(0);
  });

  test("keeps everyone in their place at the date line and at a pole", () => {
    for (const scene of [scenes.dateline, scenes.pole]) {
      const people = scene(NOW);
      show(people);
      for (const element of [...shown("[data-user]"), ...shown("[data-stack]")]) {
        const [x, y] = placeOf(element);
        expect(x).toBeGreaterThan(0);
        expect(x).toBeLessThan(SIZE.width);
        expect(y).toBeGreaterThan(0);
        expect(y).toBeLessThan(SIZE.height);
      }
    }
  });

  test("shows names in every script as text, each in its own direction", () => {
    show(scenes.scripts(NOW));
    expect(nameOf("user-14")).toBe("<b>bold</b>");
    expect(nameOf("user-10")).toBe("Zoë");
    expect(nameOf("user-13")).toBe("?");
    expect(nameOf("user-1")).toBe("محمد العربي");
    expect(all(".mk-name > bdi")).toHaveLength(all("[data-user]").length);
    for (const dot of all(".mk-dot")) expect(dot.textContent!.trim()).not.toBe("");
  });

  test("fades with the age of the fix; from 30 s on it is grey and says why", () => {
    show(scenes.ages(NOW));
    const body = (at: number): HTMLElement => all(`[data-user="user-${at}"] .mk-body`)[0]!;
    expect(Number(body(0).style.opacity)).toBe(1);
    expect(Number(body(2).style.opacity)).toBeLessThan(0.8);
    expect(nameOf("user-2")).not.toContain("ago");
    expect(nameOf("user-3")).toContain("45 s ago");
    expect(nameOf("user-5")).toContain("paused");
    expect(nameOf("user-6")).toContain("in the background");
    expect(nameOf("user-7")).toContain("2 h ago");
    expect(all(".is-old")).toHaveLength(5);
    expect(shown(".is-old .mk-heading")).toHaveLength(0);
  });

  test("never puts a person's marker where another was, when the order of people changes", () => {
    const people = scenes.scripts(NOW);
    const camera = show(people);
    const before = new Map(
      all("[data-user]").map((each) => [each.getAttribute("data-user"), each.style.transform]),
    );
    const turned = [people[0]!, ...people.slice(1).reverse()];
    pane.show(turned, NOW, true);
    pane.move(camera, SIZE, NOW);
    pane.glide(NOW);
    pane.layout(NOW);
    for (const each of shown("[data-user]")) {
      expect(each.style.transform).toBe(before.get(each.getAttribute("data-user")));
    }
  });

  test("moves who moves along the way between, and leaps no more than once", () => {
    const people = scenes.dateline(NOW);
    show(people);
    const [me] = people;
    const place = {
      ...me!.place!,
      lat: me!.place!.lat + 0.002,
      heard: NOW + 2_000,
      at: NOW + 2_000,
    };
    const before = placeOf(all('[data-user="user-0"]')[0]!);
    pane.show([{ ...me!, place }, ...people.slice(1)], NOW + 2_000, false);
    pane.layout(NOW + 2_000);
    expect(pane.isGliding(NOW + 2_000)).toBe(true);
    expect(placeOf(all('[data-user="user-0"]')[0]!)).toEqual(before);
    pane.glide(NOW + 3_000);
    const half = placeOf(all('[data-user="user-0"]')[0]!)[1];
    pane.layout(NOW + 4_000);
    const end = placeOf(all('[data-user="user-0"]')[0]!)[1];
    expect(half).toBeLessThan(before[1]);
    expect(Math.abs(half - (before[1] + end) / 2)).toBeLessThan(1);
    expect(pane.isGliding(NOW + 4_000)).toBe(false);
  });

  test("points to those outside with their distance, and is empty when nobody is left", () => {
    const camera = show(scenes.dateline(NOW));
    pane.move(panned(camera, -4_000, 0), SIZE, NOW);
    pane.layout(NOW);
    const arrows = all("[data-arrow]");
    expect(arrows.length).toBeGreaterThan(0);
    expect(arrows[0]!.textContent).toMatch(/You|km|m/);
    arrows[0]!.querySelector<HTMLElement>(".ar-dot")!.click();
    expect(happened).toEqual([expect.stringMatching(/^arrows to \d$/)]);
    pane.show([], NOW, true);
    pane.layout(NOW);
    expect(all("[data-user],[data-stack],[data-arrow]")).toHaveLength(0);
  });
});
