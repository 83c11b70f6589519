// @vitest-environment happy-dom
import { expect, test } from "vitest";
import { isWithin, parsed, plain } from "../../src/map/sources";
import { type Ground, styleOf } from "../../src/map/style";

const URL = "https://here.example/maps/fiji.json";

test.each([
  [177, -178],
  [177, 182],
  [-183, -178],
])("tiles may reach across the date line, from %d to %d", (west, east) => {
  const raw = { tiles: ["{z}/{x}/{y}.png"], bounds: [west, -20, east, -12] };
  const found = parsed(raw, URL, "Fiji");
  const is = (lng: number): boolean => isWithin(found.bounds, { lat: -17, lng });
  expect([178, 180, -180, -179].every(is)).toBe(true);
  expect([176, 0, -177].some(is)).toBe(false);
  expect(isWithin(found.bounds, { lat: 0, lng: 179 })).toBe(false);
  const ground: Ground = { ...found, name: "standard", isWorld: false, tiles: [found.template] };
  const { sources } = styleOf([ground], false, "en", "probe");
  const [asked] = Object.values(sources).filter((each) => "bounds" in (each as object));
  expect(asked).toMatchObject({ bounds: [-180, -20, 180, -12] });
});

test("addresses of tiles are below their description's, and an attribution is text", () => {
  const found = parsed({ tiles: ["{z}/{x}/{y}.pbf"] }, URL, "");
  expect(found.template).toBe("https://here.example/maps/{z}/{x}/{y}.pbf");
  expect(found.isVector).toBe(true);
  expect(plain('© <a href="javascript:x">Open <b>maps</b></a>')).toBe("© Open maps");
});
