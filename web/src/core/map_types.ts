/** Which map is shown: what the user has chosen, the page's scheme, and what the server offers. Pure. */

import type { MapType as MapSource } from "../generated/rest";

export type MapType = "auto" | "light" | "dark" | "terrain" | "satellite";

export interface Choice {
  /** What to draw, the first one on top; none is a grid. */
  readonly sources: readonly MapSource[];
  readonly isDark: boolean;
}

/** The types to choose from. The first follows the page's scheme. */
export function mapTypes(sources: readonly MapSource[]): readonly MapType[] {
  const has = (name: string): boolean => sources.some((each) => each.name === name);
  const found: MapType[] = ["auto", "light", "dark"];
  if (has("terrain")) found.push("terrain");
  if (has("satellite")) found.push("satellite");
  return found;
}

/**
 * What `type` means. A type that is not offered is `auto`. The world that comes with the server lies
 * beneath a map of tiles, which may be of one town only; a style or pictures bring the whole ground.
 */
export function choose(type: MapType, sources: readonly MapSource[], isDark: boolean): Choice {
  const named = (name: string) => sources.filter((each) => each.name === name);
  if (type === "terrain" || type === "satellite") {
    const [found] = named(type);
    if (found !== undefined) return { sources: [found], isDark: type === "satellite" };
  }
  const dark = type === "dark" || (type !== "light" && isDark);
  const [darkOne] = dark ? named("dark") : [];
  const [standard] = named("standard");
  const [world] = named("world");
  const first = darkOne ?? standard;
  if (first === undefined) return { sources: world === undefined ? [] : [world], isDark: dark };
  const covers = first.kind !== "tilejson" || world === undefined;
  return { sources: covers ? [first] : [first, world], isDark: dark };
}
