/**
 * Raster tiles, if the operator has configured a server of them. The map is whole without: a tile
 * that does not come leaves the graticule to be seen.
 */

import { scaleOf } from "./camera.js";

const MOST_KEPT = 300;
const TILE_MAX_ZOOM = 19;
const RETRY_MS = 30_000;

export class Tiles {
  #url;
  #onLoad;
  #kept = new Map(); // key → {image, ready, failedAt}, the least recently drawn first

  /** `url` has {z}, {x}, {y}, and may have {s} and {r}; `onLoad` is called when one has come. */
  constructor(url, onLoad) {
    this.#url = url;
    this.#onLoad = onLoad;
  }

  draw(context, camera, size, theme) {
    const zoom = Math.max(0, Math.min(TILE_MAX_ZOOM, Math.round(camera.zoom)));
    const count = 2 ** zoom;
    const pixels = scaleOf(camera) / count;
    const left = camera.x * count - size.width / 2 / pixels;
    const top = camera.y * count - size.height / 2 / pixels;
    context.save();
    context.globalAlpha = theme.tileAlpha;
    for (let y = Math.floor(top); y < top + size.height / pixels; y += 1) {
      if (y < 0 || y >= count) continue;
      for (let x = Math.floor(left); x < left + size.width / pixels; x += 1) {
        const place = { x: (x - left) * pixels, y: (y - top) * pixels };
        this.#paint(context, zoom, ((x % count) + count) % count, y, place, pixels);
      }
    }
    context.restore();
  }

  #paint(context, zoom, x, y, place, pixels) {
    if (this.#tile(zoom, x, y).ready) {
      const { image } = this.#tile(zoom, x, y);
      context.drawImage(image, place.x, place.y, pixels + 0.5, pixels + 0.5);
      return;
    }
    // Until it comes: the part of a coarser one that is there already.
    for (let up = 1; up <= 4 && zoom - up >= 0; up += 1) {
      const coarse = this.#kept.get(`${zoom - up}/${x >> up}/${y >> up}`);
      if (!coarse?.ready) continue;
      const side = coarse.image.naturalWidth / 2 ** up;
      const part = 2 ** up - 1;
      context.drawImage(
        coarse.image, (x & part) * side, (y & part) * side, side, side,
        place.x, place.y, pixels + 0.5, pixels + 0.5,
      );
      return;
    }
  }

  #tile(zoom, x, y) {
    const key = `${zoom}/${x}/${y}`;
    let tile = this.#kept.get(key);
    if (tile === undefined || (tile.failedAt && Date.now() - tile.failedAt > RETRY_MS)) {
      tile = this.#load(zoom, x, y);
    }
    this.#kept.delete(key);
    this.#kept.set(key, tile);
    if (this.#kept.size > MOST_KEPT) this.#kept.delete(this.#kept.keys().next().value);
    return tile;
  }

  #load(zoom, x, y) {
    const image = new Image();
    const tile = { image, ready: false, failedAt: 0 };
    image.referrerPolicy = "origin"; // some servers require a referrer; never the whole link
    image.decoding = "async";
    image.onload = () => {
      tile.ready = true;
      this.#onLoad();
    };
    image.onerror = () => {
      tile.failedAt = Date.now();
    };
    image.src = this.#url
      .replace("{z}", zoom)
      .replace("{x}", x)
      .replace("{y}", y)
      .replace("{s}", "abc"[(x + y) % 3])
      .replace("{r}", window.devicePixelRatio > 1.5 ? "@2x" : "");
    return tile;
  }
}
