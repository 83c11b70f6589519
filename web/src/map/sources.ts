/** Addresses of maps, and what a TileJSON says. */

import type { Place } from "../core/geo";
import type { MapSource } from "../io/api";

/** The world that comes with the server has nothing for whoever looks closer: 1 : 50 million. */
const WORLD_DETAIL_ZOOM = 6.5;

/** How much of a graticule is wanted on it: 1 where it has no detail. */
export const bareness = (zoom: number): number =>
  Math.max(0, Math.min(1, zoom - WORLD_DETAIL_ZOOM));

export interface TileJson {
  readonly isVector: boolean;
  /** Absolute, with {z}, {x}, {y}. */
  readonly template: string;
  readonly minZoom: number;
  readonly maxZoom: number;
  /** West, south, east, north, in degrees; across the date line west is greater than east. */
  readonly bounds: readonly [number, number, number, number];
  readonly layers: readonly string[];
  /** As text: markup is taken out. */
  readonly attribution: string;
}

interface Raw {
  readonly tiles?: readonly string[];
  readonly minzoom?: number;
  readonly maxzoom?: number;
  readonly bounds?: readonly number[];
  readonly attribution?: string;
  readonly vector_layers?: readonly { readonly id: string }[];
}

/** Across the date line some write 182 for -178. */
const turned = (lng: number): number => (lng > 180 ? lng - 360 : lng < -180 ? lng + 360 : lng);

/** Whether a place lies within the bounds of tiles. */
export function isWithin([west, south, east, north]: TileJson["bounds"], place: Place): boolean {
  const { lat, lng } = place;
  if (lat < south || lat > north) return false;
  return west <= east ? lng >= west && lng <= east : lng >= west || lng <= east;
}

/** No source of a map can be had, now. */
export class NothingFound extends Error {}

/** Fetch the description of tiles. Rejects when there is none. */
export async function readTileJson(source: MapSource, root: string): Promise<TileJson> {
  const url = new URL(source.url, root).href;
  const answer = await fetch(url, { credentials: "omit" });
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return parsed((await answer.json()) as Raw, url, source.attribution ?? "");
}

export function parsed(raw: Raw, url: string, attribution: string): TileJson {
  const [tile] = raw.tiles ?? [];
  if (tile === undefined) throw new Error(`${url}: it names no tiles`);
  const [west = -180, south = -85.06, east = 180, north = 85.06] = raw.bounds ?? [];
  return {
    isVector: raw.vector_layers !== undefined || /\.(?:mvt|pbf)(?:\?|$)/.test(tile),
    template: templateUrl(tile, url),
    minZoom: raw.minzoom ?? 0,
    maxZoom: raw.maxzoom ?? 19,
    bounds: [turned(west), south, turned(east), north],
    layers: (raw.vector_layers ?? []).map((each) => each.id),
    attribution: plain(attribution || raw.attribution || ""),
  };
}

/** An absolute address whose braces stay. */
export function templateUrl(template: string, base: string): string {
  if (/^https?:/i.test(template)) return template; // its host may have braces, as no URL has
  return new URL(template, base).href.replace(/%7B/gi, "{").replace(/%7D/gi, "}");
}

/** Text of what may have markup: attributions often are links. */
export function plain(markup: string): string {
  const parsed = new DOMParser().parseFromString(markup, "text/html");
  return (parsed.body.textContent ?? "").replace(/\s+/g, " ").trim();
}
