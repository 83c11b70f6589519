/**
 * The style of vector maps, by the style specification that MapLibre reads
 * (https://maplibre.org/maplibre-style-spec/). Pure. It knows the world that comes with the server,
 * the layers of Protomaps and those of OpenMapTiles; layers of anybody else are drawn as lines and
 * points in one colour. Fonts are the device's own: no glyphs are fetched.
 */

import type { MapSource } from "../io/api";
import { type Theme, themeOf } from "./theme";

/** What is known of a source. */
export interface Ground {
  readonly name: MapSource["name"];
  readonly isWorld: boolean;
  readonly isVector: boolean;
  readonly tiles: readonly string[];
  readonly minZoom: number;
  readonly maxZoom: number;
  /** West, south, east, north, in degrees. */
  readonly bounds: readonly [number, number, number, number];
  readonly layers: readonly string[];
  readonly attribution: string;
}

type Expression = readonly unknown[];
type Value = string | number | boolean | Expression | readonly string[];

export interface Layer {
  readonly id: string;
  readonly type: "background" | "fill" | "line" | "symbol" | "circle" | "raster";
  readonly source?: string;
  readonly "source-layer"?: string;
  readonly minzoom?: number;
  readonly maxzoom?: number;
  readonly filter?: Expression;
  readonly layout?: { readonly [name: string]: Value };
  readonly paint?: { readonly [name: string]: Value };
}

export interface Style {
  readonly version: 8;
  readonly sources: { readonly [id: string]: object };
  readonly layers: readonly Layer[];
}

const FONT = ["system-ui", "sans-serif"];
const EMPTY = { type: "FeatureCollection", features: [] };

export function emptyStyle(isDark: boolean): Style {
  return { version: 8, sources: {}, layers: [background(themeOf(isDark).ground)] };
}

/** `probe` names a source without features: see maplibre.ts. The first ground is on top. */
export function styleOf(
  grounds: readonly Ground[],
  isDark: boolean,
  language: string,
  probe: string,
): Style {
  const theme = themeOf(isDark);
  const sources: { [id: string]: object } = { [probe]: { type: "geojson", data: EMPTY } };
  const hasVectors = grounds.some((each) => each.isVector);
  const isPicture = grounds[0] !== undefined && !grounds[0].isVector;
  const below: Layer[] = [background(hasVectors && !isPicture ? theme.water : theme.ground)];
  const labels: Layer[] = [];
  [...grounds].reverse().forEach((ground, at) => {
    const id = `ground-${at}`;
    sources[id] = sourceOf(ground);
    if (!ground.isVector) {
      const isDimmed = isDark && ground.name === "standard";
      below.push(picture(id, isDimmed ? theme.pictureAlpha : 1));
      return;
    }
    const isBeneath = at < grounds.length - 1;
    for (const layer of vectorLayers(id, ground, theme, language)) {
      // Names of the world would lie twice where the map above has its own.
      if (layer.type !== "symbol") below.push(layer);
      else labels.push(isBeneath ? { ...layer, maxzoom: Math.min(layer.maxzoom ?? 24, 6) } : layer);
    }
  });
  return { version: 8, sources, layers: [...below, ...labels] };
}

function sourceOf({ isVector, tiles, minZoom, maxZoom, bounds }: Ground): object {
  const [west, south, east, north] = bounds;
  // MapLibre has no bounds across the date line: it would ask for no tile.
  const asked = west <= east ? bounds : [-180, south, 180, north];
  const common = { tiles, minzoom: minZoom, maxzoom: maxZoom, bounds: asked };
  return isVector ? { type: "vector", ...common } : { type: "raster", tileSize: 256, ...common };
}

const background = (color: string): Layer => ({
  id: "background",
  type: "background",
  paint: { "background-color": color },
});

const picture = (source: string, opacity: number): Layer => ({
  id: source,
  type: "raster",
  source,
  paint: { "raster-opacity": opacity, "raster-fade-duration": 150 },
});

function vectorLayers(
  source: string,
  ground: Ground,
  theme: Theme,
  language: string,
): readonly Layer[] {
  const has = (name: string): boolean => ground.layers.indexOf(name) >= 0;
  const draw = new Painter(source, theme, language);
  if (ground.isWorld) return worldLayers(draw);
  if (has("earth") && has("roads")) return protomapsLayers(draw);
  if (has("transportation") || has("landcover")) return openMapTilesLayers(draw);
  const found: Layer[] = [];
  for (const name of ground.layers) found.push(...foreignLayers(draw, name));
  return found;
}

/** A number that grows with the zoom, from stop to stop. */
const byZoom = (...stops: readonly number[]): Expression => [
  "interpolate",
  ["exponential", 1.4],
  ["zoom"],
  ...stops,
];
const isOneOf = (name: string, ...values: readonly (string | number)[]): Expression => [
  "match",
  ["get", name],
  values,
  true,
  false,
];

interface More {
  readonly filter?: Expression;
  readonly minzoom?: number;
  readonly maxzoom?: number;
}

/** Makes layers of one source. */
class Painter {
  readonly theme: Theme;
  readonly language: string;
  private readonly source: string;
  private count = 0;

  constructor(source: string, theme: Theme, language: string) {
    this.source = source;
    this.theme = theme;
    this.language = language;
  }

  fill(layer: string, color: Value, more: More = {}, opacity: Value = 1): Layer {
    return this.layer("fill", layer, more, {
      paint: { "fill-color": color, "fill-opacity": opacity },
    });
  }

  line(layer: string, color: Value, width: Value, more: More = {}, dashes?: Expression): Layer {
    const paint = { "line-color": color, "line-width": width };
    return this.layer("line", layer, more, {
      layout: { "line-cap": dashes ? "butt" : "round", "line-join": "round" },
      paint: dashes ? { ...paint, "line-dasharray": dashes } : paint,
    });
  }

  dots(layer: string, color: Value, more: More = {}): Layer {
    return this.layer("circle", layer, more, {
      paint: {
        "circle-color": color,
        "circle-radius": 5,
        "circle-stroke-color": this.theme.halo,
        "circle-stroke-width": 2,
      },
    });
  }

  names(
    layer: string,
    text: Expression,
    size: Value,
    color: string,
    more: More = {},
    layout: { readonly [name: string]: Value } = {},
  ): Layer {
    return this.layer("symbol", layer, more, {
      layout: {
        "text-field": text,
        "text-font": FONT,
        "text-size": size,
        "text-max-width": 8,
        "text-padding": 4,
        ...layout,
      },
      paint: {
        "text-color": color,
        "text-halo-color": this.theme.halo,
        "text-halo-width": 1.4,
        "text-halo-blur": 0.4,
      },
    });
  }

  /** The name in the reader's language, if the map has it. */
  name(): Expression {
    const { language } = this;
    return ["coalesce", ["get", `name:${language}`], ["get", `name_${language}`], ["get", "name"]];
  }

  private layer(
    type: Layer["type"],
    layer: string,
    more: More,
    rest: Pick<Layer, "layout" | "paint">,
  ): Layer {
    this.count += 1;
    const id = `${this.source}-${layer}-${this.count}`;
    return { id, type, source: this.source, "source-layer": layer, ...more, ...rest };
  }
}

/** The world of web/basemap: land, borders and names. */
function worldLayers(draw: Painter): readonly Layer[] {
  const { theme } = draw;
  return [
    draw.fill("land", theme.land),
    draw.line("coasts", theme.coast, byZoom(0, 0.4, 6, 1.2)),
    draw.line("borders", theme.border, byZoom(0, 0.4, 6, 1.4), { minzoom: 1 }),
    draw.names(
      "names",
      countryName(draw.language),
      byZoom(1, 10, 6, 17),
      theme.text,
      { minzoom: 1, maxzoom: 9, filter: [">=", ["zoom"], ["get", "from"]] },
      { "symbol-sort-key": ["get", "rank"], "text-letter-spacing": 0.04 },
    ),
  ];
}

/** What a country is called in `language`, as the browser knows it; else as the map does. */
export function countryName(language: string): Expression {
  const names = regionNames(language);
  const name: Expression = ["get", "name"];
  if (names.length === 0) return name;
  return ["match", ["get", "iso"], ...names, name];
}

interface DisplayNames {
  of(code: string): string | undefined;
}
type DisplayNamesClass = new (
  locales: readonly string[],
  options: { readonly type: "region"; readonly fallback: "none" },
) => DisplayNames;

const known = new Map<string, readonly string[]>();

/** What a country is called in `language`, as the browser knows it; null when it does not. */
export function regionName(iso: string, language: string): string | null {
  const names = regionNames(language);
  const at = names.indexOf(iso);
  return at >= 0 && at % 2 === 0 ? names[at + 1]! : null;
}

/** Codes and names in turn; empty in browsers that do not know them (before Chrome 81, Safari 14.1). */
function regionNames(language: string): readonly string[] {
  const kept = known.get(language);
  if (kept !== undefined) return kept;
  const found: string[] = [];
  const { DisplayNames } = Intl as unknown as { DisplayNames?: DisplayNamesClass };
  if (DisplayNames !== undefined && language !== "en") {
    const names = new DisplayNames([language], { type: "region", fallback: "none" });
    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".split("");
    for (const a of letters) {
      for (const b of letters) {
        const name = names.of(a + b);
        if (name !== undefined) found.push(a + b, name);
      }
    }
  }
  known.set(language, found);
  return found;
}

/** https://docs.protomaps.com/basemaps/layers, version 4. */
function protomapsLayers(draw: Painter): readonly Layer[] {
  const { theme } = draw;
  const name = draw.name();
  const road = (kinds: readonly string[], ...stops: readonly number[]): readonly Layer[] => {
    const filter = isOneOf("kind", ...kinds);
    const minzoom = stops[0]!;
    const wider = stops.map((each, at) => (at % 2 === 1 ? each * 1.25 + 1.2 : each));
    const color = kinds[0] === "highway" ? theme.mainRoad : theme.road;
    return [
      draw.line("roads", theme.roadEdge, byZoom(...wider), { filter, minzoom: minzoom + 1 }),
      draw.line("roads", color, byZoom(...stops), { filter, minzoom }),
    ];
  };
  const place = (kind: string, size: Value, color: string, more: More): Layer =>
    draw.names(
      "places",
      name,
      size,
      color,
      { ...more, filter: isOneOf("kind", kind) },
      {
        "symbol-sort-key": ["coalesce", ["get", "min_zoom"], 20],
      },
    );
  const [edges, roads] = split([
    road(["minor_road", "other"], 12, 0.5, 15, 4, 19, 22),
    road(["major_road"], 8, 0.6, 14, 5, 19, 28),
    road(["highway"], 5, 0.6, 14, 6, 19, 32),
  ]);
  return [
    draw.fill("earth", theme.land),
    draw.fill("landcover", landKind(theme), { maxzoom: 8 }, 0.7),
    draw.fill("landuse", landKind(theme), { filter: isOneOf("kind", ...LAND_KINDS) }),
    draw.fill("water", theme.water, { filter: ["==", ["geometry-type"], "Polygon"] }),
    draw.line("water", theme.water, byZoom(8, 0.5, 14, 2, 18, 8), {
      filter: ["==", ["geometry-type"], "LineString"],
    }),
    draw.fill("buildings", theme.building, { minzoom: 14 }, byZoom(14, 0, 15, 1)),
    draw.line("roads", theme.rail, byZoom(10, 0.5, 16, 2), {
      filter: isOneOf("kind", "rail"),
      minzoom: 10,
    }),
    draw.line(
      "roads",
      theme.path,
      byZoom(13, 0.6, 18, 2.5),
      { filter: isOneOf("kind", "path"), minzoom: 13 },
      [2, 1.2],
    ),
    ...edges,
    ...roads,
    draw.line(
      "boundaries",
      theme.border,
      byZoom(2, 0.5, 10, 1.6),
      { filter: isOneOf("kind", "country", "region") },
      [3, 2],
    ),
    draw.names(
      "roads",
      name,
      byZoom(13, 10, 18, 14),
      theme.faintText,
      { minzoom: 14, filter: isOneOf("kind", "highway", "major_road", "minor_road") },
      { "symbol-placement": "line" },
    ),
    draw.names("water", name, 12, theme.waterText, { minzoom: 10 }),
    place("neighbourhood", 12, theme.faintText, { minzoom: 13, maxzoom: 17 }),
    place("locality", byZoom(5, 11, 14, 17), theme.text, { minzoom: 4, maxzoom: 16 }),
    place("region", 11, theme.faintText, { minzoom: 5, maxzoom: 8 }),
    place("country", byZoom(1, 10, 6, 17), theme.text, { maxzoom: 7 }),
  ];
}

const WOODS = ["forest", "wood"];
const PARKS = ["park", "nature_reserve", "grassland", "grass", "meadow", "golf_course", "cemetery"];
const FIELDS = ["farmland", "scrub", "orchard", "allotments", "village_green", "garden", "pitch"];
const BUILT = ["urban_area", "residential", "industrial", "commercial", "hospital", "school"];
const SANDS = ["beach", "sand", "barren"];
const ICE = ["glacier", "ice"];
const LAND_KINDS = [...WOODS, ...PARKS, ...FIELDS, ...BUILT, ...SANDS, ...ICE];

const landKind = (theme: Theme, name = "kind"): Expression => [
  "match",
  ["get", name],
  WOODS,
  theme.wood,
  [...PARKS, ...FIELDS],
  theme.park,
  BUILT,
  theme.built,
  SANDS,
  theme.sand,
  ICE,
  theme.ice,
  theme.land,
];

/** https://openmaptiles.org/schema/ */
function openMapTilesLayers(draw: Painter): readonly Layer[] {
  const { theme } = draw;
  const name = draw.name();
  const road = (classes: readonly string[], ...stops: readonly number[]): readonly Layer[] => {
    const filter = isOneOf("class", ...classes);
    const minzoom = stops[0]!;
    const wider = stops.map((each, at) => (at % 2 === 1 ? each * 1.25 + 1.2 : each));
    const color = classes[0] === "motorway" ? theme.mainRoad : theme.road;
    return [
      draw.line("transportation", theme.roadEdge, byZoom(...wider), {
        filter,
        minzoom: minzoom + 1,
      }),
      draw.line("transportation", color, byZoom(...stops), { filter, minzoom }),
    ];
  };
  const place = (classes: readonly string[], size: Value, color: string, more: More): Layer =>
    draw.names(
      "place",
      name,
      size,
      color,
      { ...more, filter: isOneOf("class", ...classes) },
      {
        "symbol-sort-key": ["coalesce", ["get", "rank"], 20],
      },
    );
  const [edges, roads] = split([
    road(["minor", "service", "tertiary"], 12, 0.5, 15, 4, 19, 22),
    road(["primary", "secondary"], 8, 0.6, 14, 5, 19, 28),
    road(["motorway", "trunk"], 5, 0.6, 14, 6, 19, 32),
  ]);
  return [
    // The schema has no land: it is what is not water.
    { id: "land", type: "background", paint: { "background-color": theme.land } },
    draw.fill("landcover", landKind(theme, "class"), {}, 0.7),
    draw.fill("landuse", landKind(theme, "class"), { filter: isOneOf("class", ...LAND_KINDS) }),
    draw.fill("park", theme.park, { minzoom: 8 }, 0.6),
    draw.fill("water", theme.water),
    draw.line("waterway", theme.water, byZoom(8, 0.5, 14, 2, 18, 8)),
    draw.fill("building", theme.building, { minzoom: 14 }, byZoom(14, 0, 15, 1)),
    draw.line("transportation", theme.rail, byZoom(10, 0.5, 16, 2), {
      filter: isOneOf("class", "rail", "transit"),
      minzoom: 10,
    }),
    draw.line(
      "transportation",
      theme.path,
      byZoom(13, 0.6, 18, 2.5),
      { filter: isOneOf("class", "path", "track"), minzoom: 13 },
      [2, 1.2],
    ),
    ...edges,
    ...roads,
    draw.line(
      "boundary",
      theme.border,
      byZoom(2, 0.5, 10, 1.6),
      { filter: isOneOf("admin_level", 2, 4) },
      [3, 2],
    ),
    draw.names(
      "transportation_name",
      name,
      byZoom(13, 10, 18, 14),
      theme.faintText,
      { minzoom: 14 },
      { "symbol-placement": "line" },
    ),
    draw.names("water_name", name, 12, theme.waterText, { minzoom: 4 }),
    place(["suburb", "neighbourhood", "hamlet"], 12, theme.faintText, { minzoom: 12 }),
    place(["village"], 12, theme.text, { minzoom: 10 }),
    place(["town", "city"], byZoom(4, 11, 14, 17), theme.text, { minzoom: 4, maxzoom: 16 }),
    place(["state", "province"], 11, theme.faintText, { minzoom: 5, maxzoom: 8 }),
    place(["country"], byZoom(1, 10, 6, 17), theme.text, { maxzoom: 7 }),
  ];
}

/** Edges of all roads lie below all roads, so that crossings are open. */
function split(pairs: readonly (readonly Layer[])[]): [Layer[], Layer[]] {
  return [pairs.map((each) => each[0]!), pairs.map((each) => each[1]!)];
}

/** A layer of somebody's own data: a route, a course, a site. */
function foreignLayers(draw: Painter, layer: string): readonly Layer[] {
  const { theme } = draw;
  const is = (type: string): Expression => ["==", ["geometry-type"], type];
  const colour: Expression = ["coalesce", ["get", "color"], ["get", "stroke"], OWN_DATA];
  return [
    draw.fill(layer, colour, { filter: is("Polygon") }, 0.15),
    draw.line(layer, colour, byZoom(6, 1.5, 14, 4), { filter: ["!=", ["geometry-type"], "Point"] }),
    draw.dots(layer, colour, { filter: is("Point") }),
    draw.names(
      layer,
      draw.name(),
      12,
      theme.text,
      { filter: is("Point") },
      {
        "text-offset": ["literal", [0, 1]],
        "text-anchor": "top",
      },
    ),
  ];
}

const OWN_DATA = "#c2410c";
