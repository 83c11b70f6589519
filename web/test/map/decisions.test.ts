import { validateStyleMin } from "@maplibre/maplibre-gl-style-spec";
import { describe, expect, test } from "vitest";
import type { Follow } from "../../src/app/state";
import { MAX_ZOOM, toScreen } from "../../src/core/camera";
import { project } from "../../src/core/geo";
import { translator } from "../../src/core/i18n";
import { choose, mapTypes } from "../../src/core/map_types";
import { tagText } from "../../src/core/names";
import en from "../../src/i18n/en";
import type { MapSource } from "../../src/io/api";
import { angleText, linesOf, scaleBar } from "../../src/map/grid";
import { arrange, arrows } from "../../src/map/layout";
import { tilesOn } from "../../src/map/raster";
import {
  coasted,
  coveredBy,
  journey,
  type Located,
  travelled,
  wanted,
} from "../../src/map/steering";
import { countryName, type Ground, styleOf } from "../../src/map/style";

const SIZE = { width: 400, height: 800 };
const NONE = { top: 0, right: 0, bottom: 0, left: 0 };
const PADDING = { top: 40, right: 40, bottom: 40, left: 40 };
const everyone: Follow = { kind: "everyone" };

const at = (userId: string, lat: number, lng: number, isMe = false): Located => ({
  userId,
  isMe,
  point: project({ lat, lng }),
});
const never = (): boolean => false;

describe("the camera", () => {
  const near = [at("me", 50, 8, true), at("a", 50.01, 8.01), at("b", 50.005, 8.02)];
  const view = { camera: { x: 0.5, y: 0.3, zoom: 2 }, size: SIZE, covered: NONE };
  const on = (camera: { x: number; y: number; zoom: number }, each: Located) =>
    toScreen(camera, SIZE, each.point);

  test("shows everyone, without the one who is far away", () => {
    const camera = wanted(everyone, [...near, at("far", 10, 100)], view, false)!;
    for (const each of near) {
      const { x, y } = on(camera, each);
      expect(x).toBeGreaterThanOrEqual(39);
      expect(x).toBeLessThanOrEqual(361);
      expect(y).toBeGreaterThanOrEqual(39);
      expect(y).toBeLessThanOrEqual(761);
    }
    expect(camera.zoom).toBeGreaterThan(12);
  });

  test("rests while it shows them well, and when the user has moved it", () => {
    const camera = wanted(everyone, near, view, false)!;
    expect(wanted(everyone, near, { ...view, camera }, false)).toBeNull();
    expect(wanted({ kind: "nobody" }, near, view, true)).toBeNull();
  });

  test("shows nobody beneath a sheet, and moves when one comes", () => {
    const covered = { ...NONE, left: 250 };
    const before = wanted(everyone, near, view, false)!;
    const after = wanted(everyone, near, { ...view, camera: before, covered }, false)!;
    for (const each of near) expect(on(after, each).x).toBeGreaterThan(270);
    expect(wanted(everyone, near, { ...view, camera: after, covered }, false)).toBeNull();
  });

  test("shows both sides of the date line the short way round", () => {
    const pair = [at("me", -17, 179.9, true), at("a", -17, -179.9)];
    const camera = wanted(everyone, pair, view, true)!;
    expect(camera.zoom).toBeGreaterThan(8);
    expect(Math.abs(on(camera, pair[0]!).x - on(camera, pair[1]!).x)).toBeLessThan(400);
  });

  test("keeps to the map for people at a pole", () => {
    const camera = wanted(everyone, [at("me", 90, 0, true), at("a", 89.99, 120)], view, true)!;
    expect(Number.isFinite(camera.x + camera.y + camera.zoom)).toBe(true);
    expect(camera.y).toBeGreaterThanOrEqual(0);
  });

  test("follows one person in the middle of what is left free, at the zoom it has", () => {
    const covered = { ...NONE, bottom: 400 };
    const close = { ...view, camera: { ...view.camera, zoom: 14 }, covered };
    const camera = wanted({ kind: "person", userId: "a" }, near, close, false)!;
    expect(camera.zoom).toBe(14);
    const { x, y } = on(camera, near[1]!);
    expect(x).toBeCloseTo(200, 3);
    expect(y).toBeCloseTo(200, 3);
    expect(wanted({ kind: "person", userId: "gone" }, near, close, true)).toBeNull();
  });

  test("travels without a jump, rises on a long way, and arrives exactly", () => {
    const from = { x: 0.2, y: 0.3, zoom: 15 };
    const to = { x: 0.6, y: 0.4, zoom: 16 };
    const way = journey(from, to, SIZE, 1_000);
    let before = from;
    let lowest = 15;
    for (let now = 1_000; now <= 1_000 + way.duration; now += 8) {
      const { camera } = travelled(way, now);
      const pixels = 256 * 2 ** Math.min(camera.zoom, before.zoom);
      expect(Math.hypot(camera.x - before.x, camera.y - before.y) * pixels).toBeLessThan(200);
      lowest = Math.min(lowest, camera.zoom);
      before = camera;
    }
    expect(lowest).toBeLessThan(5);
    expect(travelled(way, 1_000 + way.duration)).toEqual({ camera: to, arrived: true });
  });

  test("coasts to a stop after a throw", () => {
    const coast = { vx: 1, vy: 0, began: 0 };
    expect(coasted(coast, 50).moving).toBe(true);
    const end = coasted(coast, 5_000);
    expect(end.moving).toBe(false);
    expect(end.x).toBeGreaterThan(100);
    expect(end.x).toBeLessThan(200);
  });
});

describe("markers", () => {
  const place = (userId: string, x: number, y: number) => ({ userId, x, y });

  test("of people in one place are one stack, whose place is theirs", () => {
    const people = [place("a", 100, 100), place("b", 104, 100), place("c", 300, 100)];
    const { spots, fan } = arrange(people, new Set(), never);
    expect(spots.map((each) => [each.key, each.members.length])).toEqual([
      ["stack:a", 2],
      ["c", 1],
    ]);
    expect(spots[0]).toMatchObject({ x: 102, y: 100 });
    expect(fan).toBeNull();
  });

  test("fan out without covering each other, and stay open while people come and go", () => {
    const people = Array.from({ length: 49 }, (_, i) => place(`u${i}`, 200 + (i % 3), 300));
    const open = new Set(people.map((each) => each.userId));
    const { spots, fan } = arrange(people, open, never);
    expect(spots).toHaveLength(49);
    for (const one of spots) {
      for (const other of spots) {
        if (one === other) continue;
        expect(Math.hypot(one.x - other.x, one.y - other.y)).toBeGreaterThan(38);
      }
    }
    expect(fan!.radius).toBeLessThan(210); // fits on a phone
    const fewer = arrange(people.slice(5, 20), open, never);
    expect(fewer.spots.every((each) => each.isFanned)).toBe(true);
    const apart = people.map((each, i) => ({ ...each, x: i * 60 }));
    expect(arrange(apart, open, never).fan).toBeNull();
  });

  test("of somebody who was selected stand beside their stack", () => {
    const people = [place("a", 100, 100), place("b", 104, 100), place("c", 102, 100)];
    const { spots } = arrange(people, new Set(), never, "b");
    expect(spots.map((each) => [each.key, each.members])).toEqual([
      ["stack:a", [0, 2]],
      ["b", [1]],
    ]);
    expect(arrange(people.slice(0, 2), new Set(), never, "b").spots).toHaveLength(2);
    expect(arrange(people, new Set(["a", "b"]), never, "b").spots).toHaveLength(3);
  });

  test("of people outside are arrows at the edge; those in one direction are one", () => {
    const people = [place("a", 200, 5_000), place("b", 210, 5_000), place("c", -900, 400)];
    const found = arrows([...people, place("in", 200, 200)], SIZE, PADDING);
    expect(found.map((each) => each.members)).toEqual([[0, 1], [2]]);
    expect(found[0]).toMatchObject({ y: SIZE.height - PADDING.bottom - 54 });
    expect(found[0]!.angle).toBeCloseTo(180, 0);
    expect(found[1]).toMatchObject({ x: PADDING.left + 34 });
  });

  test("of people beneath the sheet are arrows too, and of those beside a bar at the top none", () => {
    const covered = { top: 60, right: 0, bottom: 300, left: 0 };
    const people = [place("beneath", 200, 700), place("beside", 200, 30), place("in", 200, 480)];
    expect(arrows(people, SIZE, covered).map((each) => each.key)).toEqual(["beneath"]);
  });

  test("point past the buttons, which have map above and below them", () => {
    const island = { left: 330, top: 400, right: 390, bottom: 700 };
    const found = arrows([place("a", 5_000, 500), place("b", 5_000, -1_400)], SIZE, NONE, island);
    expect(found.map((each) => Math.round(each.x))).toEqual([300, 366]);
    expect(coveredBy(NONE, island, SIZE)).toEqual({ ...NONE, right: 70 });
    expect(coveredBy(NONE, { ...island, left: 10, right: 70 }, SIZE)).toEqual({
      ...NONE,
      left: 70,
    });
  });

  test.each([
    ["\u200b\u2060\u2800Zoë", "Zoë"],
    ["\u2800\u2800", "?"],
    ["\u202eevil", "evil"],
    ["محمد", "محمد"],
    ["👩‍👩‍👧‍👦 us", "👩‍👩‍👧‍👦 us"],
    [`Z${"\u0334\u0321\u0300".repeat(20)}o`, "Z\u0334\u0321o"],
  ])("show a name as it can be seen: %j", (name, shown) => {
    expect(tagText(name)).toBe(shown);
  });
});

describe("the ground", () => {
  const source = (name: MapSource["name"], kind: MapSource["kind"]): MapSource => ({
    name,
    kind,
    url: `${name}.json`,
  });
  const world = source("world", "tilejson");
  const file = source("standard", "tilejson");

  test("is the world beneath a map file, and beneath nothing that covers it", () => {
    expect(choose("auto", [file, world], false).sources).toEqual([file, world]);
    expect(choose("auto", [source("standard", "raster"), world], false).sources).toHaveLength(1);
    expect(choose("auto", [], true)).toEqual({ sources: [], isDark: true });
    expect(choose("auto", [world], false)).toEqual({ sources: [world], isDark: false });
  });

  test("is of the chosen scheme, else of the page's; what is not offered is automatic", () => {
    const satellite = source("satellite", "raster");
    const dark = source("dark", "raster");
    expect(choose("dark", [file, dark, world], false).sources).toEqual([dark]);
    expect(choose("light", [file, dark, world], true).isDark).toBe(false);
    expect(choose("satellite", [world, satellite], false).sources).toEqual([satellite]);
    expect(choose("satellite", [world], false).sources).toEqual([world]);
    expect(mapTypes([world])).toEqual(["auto", "light", "dark"]);
    expect(mapTypes([world, satellite])).toContain("satellite");
  });

  test("has tiles for the whole screen, and no more, at every zoom", () => {
    for (const zoom of [0.5, 3.4, 12, 19.7]) {
      const level = Math.round(zoom);
      const tiles = tilesOn({ x: 0.999, y: 0.4, zoom }, SIZE, level);
      expect(tiles.length).toBeLessThan(40);
      for (const { x, y } of tiles) {
        expect(x).toBeGreaterThanOrEqual(0);
        expect(x).toBeLessThan(2 ** level);
        expect(y).toBeLessThan(2 ** level);
      }
    }
  });

  test("has a graticule of few lines at every zoom, also at the date line and at a pole", () => {
    for (let zoom = 0.5; zoom <= MAX_ZOOM; zoom += 0.5) {
      for (const [x, y] of [
        [0, 0.5],
        [0.999, 0],
        [0.3, 1],
      ] as const) {
        const step = 360 / (2 ** zoom * 256) / (1 / 60);
        expect(linesOf({ x, y, zoom }, SIZE, step).length).toBeLessThan(60);
      }
    }
    expect(angleText(-181, 1, "E", "W")).toBe("179° E");
    expect(angleText(8.5, 1 / 60, "E", "W")).toBe("8°30′ E");
    expect(angleText(180, 1, "E", "W")).toBe("180°");
  });

  test("has a scale of a round length", () => {
    const bar = scaleBar({ x: 0.5, y: 0.33, zoom: 15 }, 100, "metric", translator(en));
    expect(bar.label).toMatch(/^[125]0* k?m$/);
    expect(bar.pixels).toBeLessThanOrEqual(100);
  });

  const ground = (layers: readonly string[], isWorld = false): Ground => ({
    name: isWorld ? "world" : "standard",
    isWorld,
    isVector: true,
    tiles: ["https://here.example/{z}/{x}/{y}"],
    minZoom: 0,
    maxZoom: 14,
    bounds: [-180, -85, 180, 85],
    layers,
    attribution: "",
  });

  test.each([
    [["land", "coasts", "borders", "names"], true],
    [["earth", "water", "roads", "places", "buildings"], false],
    [["water", "landcover", "transportation", "place"], false],
    [["route"], false],
  ])("has a style of its layers with the device's fonts: %j", (layers, isWorld) => {
    for (const isDark of [false, true]) {
      const style = styleOf([ground(layers, isWorld)], isDark, "de", "probe");
      const ids = style.layers.map((each) => each.id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(style.layers.length).toBeGreaterThan(3);
      for (const { layout, type } of style.layers) {
        if (type === "symbol") expect(layout?.["text-font"]).toEqual(["system-ui", "sans-serif"]);
      }
      expect(JSON.stringify(style)).not.toContain("glyphs");
      expect(validateStyleMin(style as never)).toEqual([]);
    }
  });

  test("is named in the reader's language", () => {
    expect(countryName("en")).toEqual(["get", "name"]);
    const names = countryName("de");
    expect(names[names.indexOf("AT") + 1]).toBe("Österreich");
  });
});
