/**
 * Tiles that are pictures, on a canvas. A tile that does not come leaves what lies beneath; until one
 * comes, the part of a coarser one is shown. Bounded: 256 pictures are kept, 12 are loaded at a time,
 * the newest wanted first, and those that are no longer wanted are given up.
 */

import { type Camera, type Size, scaleOf } from "../core/camera";
import { now } from "../core/clock";

const MOST_KEPT = 256;
const MOST_LOADING = 12;
const RETRY_MS = 30_000;
const MOST_UP = 5;

export interface TileSource {
  /** With {z}, {x}, {y}; perhaps {s} and {r}. */
  readonly template: string;
  readonly minZoom: number;
  readonly maxZoom: number;
}

interface Tile {
  readonly image: HTMLImageElement;
  state: "loading" | "ready" | "failed";
  failedAt: number;
}

/** The tiles that cover the screen: the nearest to the middle first. */
export function tilesOn(
  camera: Camera,
  size: Size,
  zoom: number,
): readonly { column: number; x: number; y: number; left: number; top: number; side: number }[] {
  const count = 2 ** zoom;
  const side = scaleOf(camera) / count;
  const left = camera.x * count - size.width / 2 / side;
  const top = camera.y * count - size.height / 2 / side;
  const found = [];
  const last = Math.min(count - 1, Math.ceil(top + size.height / side) - 1);
  for (let y = Math.max(0, Math.floor(top)); y <= last; y += 1) {
    for (let column = Math.floor(left); column < left + size.width / side; column += 1) {
      const x = ((column % count) + count) % count;
      found.push({ column, x, y, left: (column - left) * side, top: (y - top) * side, side });
    }
  }
  const far = (each: { left: number; top: number }): number =>
    Math.hypot(each.left + side / 2 - size.width / 2, each.top + side / 2 - size.height / 2);
  return found.sort((a, b) => far(a) - far(b));
}

export class RasterTiles {
  private readonly source: TileSource;
  private readonly onLoad: () => void;
  private readonly kept = new Map<string, Tile>(); // the least recently drawn first
  private isStopped = false;

  /** `onLoad` is called when a tile has come. */
  constructor(source: TileSource, onLoad: () => void) {
    this.source = source;
    this.onLoad = onLoad;
  }

  draw(context: CanvasRenderingContext2D, camera: Camera, size: Size, alpha: number): void {
    const { minZoom, maxZoom } = this.source;
    const zoom = Math.max(minZoom, Math.min(maxZoom, Math.round(camera.zoom)));
    const tiles = tilesOn(camera, size, zoom);
    const wanted = new Set<string>();
    context.save();
    context.globalAlpha = alpha;
    for (const tile of tiles) {
      const key = `${zoom}/${tile.x}/${tile.y}`;
      wanted.add(key);
      const image = this.picture(key);
      // Edges on whole pixels: no seams between tiles.
      const left = Math.round(tile.left);
      const top = Math.round(tile.top);
      const width = Math.round(tile.left + tile.side) - left;
      const height = Math.round(tile.top + tile.side) - top;
      if (image !== null) context.drawImage(image, left, top, width, height);
      else this.drawCoarser(context, zoom, tile.x, tile.y, [left, top, width, height]);
    }
    context.restore();
    this.load(zoom, tiles, wanted);
  }

  stop(): void {
    this.isStopped = true;
    this.kept.forEach((tile, key) => {
      if (tile.state === "loading") this.giveUp(key, tile);
    });
    this.kept.clear();
  }

  private picture(key: string): HTMLImageElement | null {
    const tile = this.kept.get(key);
    if (tile === undefined) return null;
    this.kept.delete(key);
    this.kept.set(key, tile);
    return tile.state === "ready" ? tile.image : null;
  }

  private drawCoarser(
    context: CanvasRenderingContext2D,
    zoom: number,
    x: number,
    y: number,
    [left, top, width, height]: readonly [number, number, number, number],
  ): void {
    for (let up = 1; up <= MOST_UP && zoom - up >= this.source.minZoom; up += 1) {
      const parts = 2 ** up;
      const image = this.picture(`${zoom - up}/${Math.floor(x / parts)}/${Math.floor(y / parts)}`);
      if (image === null) continue;
      const side = image.naturalWidth / parts;
      const [fromX, fromY] = [(x % parts) * side, (y % parts) * side];
      context.drawImage(image, fromX, fromY, side, side, left, top, width, height);
      return;
    }
  }

  private load(
    zoom: number,
    tiles: readonly { readonly x: number; readonly y: number }[],
    wanted: ReadonlySet<string>,
  ): void {
    let loading = 0;
    this.kept.forEach((tile, key) => {
      if (tile.state !== "loading") return;
      if (wanted.has(key)) loading += 1;
      else this.giveUp(key, tile);
    });
    for (const { x, y } of tiles) {
      if (loading >= MOST_LOADING) break;
      const key = `${zoom}/${x}/${y}`;
      const tile = this.kept.get(key);
      if (tile !== undefined && tile.state !== "failed") continue;
      if (tile !== undefined && now() - tile.failedAt < RETRY_MS) continue;
      this.start(key, zoom, x, y);
      loading += 1;
    }
    while (this.kept.size > MOST_KEPT) {
      const oldest = this.kept.keys().next().value;
      if (oldest === undefined || wanted.has(oldest)) break;
      this.kept.delete(oldest);
    }
  }

  private start(key: string, zoom: number, x: number, y: number): void {
    const image = new Image();
    const tile: Tile = { image, state: "loading", failedAt: 0 };
    image.referrerPolicy = "origin"; // some servers require a referrer; never the whole link
    image.decoding = "async";
    image.onload = () => {
      tile.state = "ready";
      if (!this.isStopped) this.onLoad();
    };
    image.onerror = () => {
      tile.state = "failed";
      tile.failedAt = now();
      if (!this.isStopped) this.onLoad(); // the next one may be loaded
    };
    image.src = filled(this.source.template, zoom, x, y);
    this.kept.set(key, tile);
  }

  private giveUp(key: string, { image }: Tile): void {
    image.onload = image.onerror = null;
    image.src = "";
    this.kept.delete(key);
  }
}

/** The address of a tile. */
export function filled(template: string, z: number, x: number, y: number): string {
  return template
    .replace("{z}", String(z))
    .replace("{x}", String(x))
    .replace("{y}", String(y))
    .replace("{s}", "abc"[(x + y) % 3]!)
    .replace("{r}", window.devicePixelRatio > 1.5 ? "@2x" : "");
}
