/**
 * The world that comes with the server, on a canvas: for devices on which MapLibre does not run, where
 * it is loaded. Its tiles are few, in zooms 0 to 4; closer, those of zoom 4 are drawn larger.
 */

import { VectorTile, type VectorTileLayer } from "@mapbox/vector-tile";
import { PbfReader } from "pbf";
import { type Camera, type Size, toScreen } from "../core/camera";
import { now } from "../core/clock";
import { filled, tilesOn } from "./raster";
import type { TileJson } from "./sources";
import { regionName } from "./style";
import type { Theme } from "./theme";

const MOST_KEPT = 64;
const RETRY_MS = 30_000;
const NAMES_TO_ZOOM = 9;
const NAME_PX = 12;

interface Name {
  readonly text: string;
  readonly iso: string;
  /** Of the world's square. */
  readonly x: number;
  readonly y: number;
  readonly from: number;
  readonly rank: number;
}

interface Tile {
  readonly extent: number;
  readonly land: Path2D;
  readonly lines: { readonly coasts: Path2D; readonly borders: Path2D };
  readonly names: readonly Name[];
}

type Kept = { state: "loading" } | { state: "failed"; at: number } | { state: "ready"; tile: Tile };

export class WorldOnCanvas {
  private readonly source: TileJson;
  private readonly onLoad: () => void;
  private readonly kept = new Map<string, Kept>(); // the least recently drawn first
  private isStopped = false;

  /** `onLoad` is called when a tile has come. */
  constructor(source: TileJson, onLoad: () => void) {
    this.source = source;
    this.onLoad = onLoad;
  }

  /** Draw it, sea and all. */
  draw(
    context: CanvasRenderingContext2D,
    camera: Camera,
    size: Size,
    theme: Theme,
    language: string,
  ): void {
    context.fillStyle = theme.water;
    context.fillRect(0, 0, size.width, size.height);
    const { minZoom, maxZoom } = this.source;
    const zoom = Math.max(minZoom, Math.min(maxZoom, Math.round(camera.zoom)));
    const names: Name[] = [];
    for (const { x, y, left, top, side } of tilesOn(camera, size, zoom)) {
      const tile = this.tile(zoom, x, y);
      if (tile === null) continue;
      names.push(...tile.names);
      const scale = side / tile.extent;
      context.save();
      context.translate(left, top);
      context.scale(scale, scale);
      context.fillStyle = theme.land;
      context.fill(tile.land, "evenodd");
      context.lineWidth = 1 / scale;
      context.strokeStyle = theme.border;
      context.stroke(tile.lines.borders);
      context.strokeStyle = theme.coast;
      context.stroke(tile.lines.coasts);
      context.restore();
    }
    if (camera.zoom < NAMES_TO_ZOOM) drawNames(context, camera, size, theme, language, names);
  }

  stop(): void {
    this.isStopped = true;
    this.kept.clear();
  }

  private tile(zoom: number, x: number, y: number): Tile | null {
    const key = `${zoom}/${x}/${y}`;
    const kept = this.kept.get(key);
    if (kept === undefined || (kept.state === "failed" && now() - kept.at > RETRY_MS)) {
      void this.load(key, zoom, x, y);
      return null;
    }
    this.kept.delete(key);
    this.kept.set(key, kept);
    return kept.state === "ready" ? kept.tile : null;
  }

  private async load(key: string, zoom: number, x: number, y: number): Promise<void> {
    this.kept.set(key, { state: "loading" });
    try {
      const answer = await fetch(filled(this.source.template, zoom, x, y), { credentials: "omit" });
      if (!answer.ok) throw new Error(String(answer.status));
      const tile = read(await answer.arrayBuffer(), zoom, x, y);
      this.kept.set(key, { state: "ready", tile });
    } catch {
      this.kept.set(key, { state: "failed", at: now() });
    }
    if (this.isStopped) return;
    while (this.kept.size > MOST_KEPT) this.kept.delete(this.kept.keys().next().value as string);
    this.onLoad();
  }
}

function read(data: ArrayBuffer, zoom: number, column: number, row: number): Tile {
  // No content is a tile of sea.
  const { layers } = new VectorTile(new PbfReader(new Uint8Array(data)));
  const land = pathOf(layers["land"]);
  const lines = { coasts: pathOf(layers["coasts"]), borders: pathOf(layers["borders"]) };
  const extent = Object.keys(layers).map((name) => layers[name]!.extent)[0] ?? 4096;
  const names: Name[] = [];
  const found = layers["names"];
  for (let i = 0; i < (found?.length ?? 0); i += 1) {
    const feature = found!.feature(i);
    const point = feature.loadGeometry()[0]?.[0];
    const { name, iso, from, rank } = feature.properties;
    if (point === undefined || typeof name !== "string") continue;
    // Those in the margin belong to the tile beside it.
    if (point.x < 0 || point.y < 0 || point.x >= extent || point.y >= extent) continue;
    names.push({
      text: name,
      iso: String(iso ?? ""),
      x: (column + point.x / extent) / 2 ** zoom,
      y: (row + point.y / extent) / 2 ** zoom,
      from: Number(from),
      rank: Number(rank),
    });
  }
  return { extent, land, lines, names };
}

function pathOf(layer: VectorTileLayer | undefined): Path2D {
  const path = new Path2D();
  for (let i = 0; i < (layer?.length ?? 0); i += 1) {
    for (const ring of layer!.feature(i).loadGeometry()) {
      ring.forEach(({ x, y }, at) => {
        if (at === 0) path.moveTo(x, y);
        else path.lineTo(x, y);
      });
    }
  }
  return path;
}

/** Names of countries, the largest first, none over another. */
function drawNames(
  context: CanvasRenderingContext2D,
  camera: Camera,
  size: Size,
  theme: Theme,
  language: string,
  names: readonly Name[],
): void {
  context.font = `${NAME_PX}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = theme.halo;
  context.fillStyle = theme.text;
  const taken: { x: number; y: number; width: number }[] = [];
  // The zoom from which a name is worth showing counts from a world of 512 pixels.
  const wanted = names.filter((each) => each.from <= camera.zoom - 1);
  for (const name of wanted.sort((a, b) => a.rank - b.rank)) {
    const { x, y } = toScreen(camera, size, name);
    if (x < 0 || y < 0 || x > size.width || y > size.height) continue;
    const text = regionName(name.iso, language) ?? name.text;
    const width = context.measureText(text).width + 8;
    const isFree = taken.every(
      (each) =>
        Math.abs(each.x - x) > (each.width + width) / 2 || Math.abs(each.y - y) > NAME_PX + 6,
    );
    if (!isFree) continue;
    taken.push({ x, y, width });
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  }
}
