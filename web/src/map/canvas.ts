/**
 * The ground on a canvas: at once, and for good where MapLibre does not run. Pictures where the
 * operator has configured some; else the world, if it is to stay, and a graticule and rings of
 * distance.
 */

import type { Camera, Size } from "../core/camera";
import type { Place } from "../core/geo";
import { drawGraticule, drawRings } from "./grid";
import { canRunMapLibre } from "./probe";
import { RasterTiles } from "./raster";
import { bareness, readTileJson, templateUrl } from "./sources";
import type { Surface, SurfaceEvents, SurfaceOptions } from "./surface";
import { themeOf } from "./theme";
import type { WorldOnCanvas } from "./world_canvas";

/** More pixels than this for one of CSS are not seen, and cost. */
const MOST_RATIO = 2.5;

export class CanvasSurface implements Surface {
  readonly element: HTMLCanvasElement;
  readonly ready: Promise<void> = Promise.resolve();
  attribution = "";
  private readonly context: CanvasRenderingContext2D | null;
  private readonly events: SurfaceEvents;
  private options: SurfaceOptions;
  private tiles: RasterTiles | null = null;
  private world: WorldOnCanvas | null = null;
  private own: Place | null = null;
  private camera: Camera = { x: 0.5, y: 0.5, zoom: 1 };
  private size: Size = { width: 0, height: 0 };
  private pixels = ""; // what the canvas is as large as
  private frame = 0;
  private isDestroyed = false;

  constructor(options: SurfaceOptions, events: SurfaceEvents) {
    this.options = options;
    this.events = events;
    this.element = document.createElement("canvas");
    this.element.className = "map-canvas";
    // Opaque, which is cheaper; null where the device has no memory left for one.
    this.context = this.element.getContext("2d", { alpha: false });
    void this.open();
  }

  show(camera: Camera, size: Size): void {
    this.camera = camera;
    this.size = size;
    window.cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.draw();
  }

  setOwn(place: Place | null): void {
    if (place?.lat === this.own?.lat && place?.lng === this.own?.lng) return;
    this.own = place;
    if (this.tiles === null) this.invalidate();
  }

  setOptions(options: SurfaceOptions): void {
    const before = this.options;
    this.options = options;
    if (before.sources !== options.sources) void this.open();
    this.invalidate();
  }

  probe(): Promise<boolean> {
    return Promise.resolve(this.context !== null);
  }

  destroy(): void {
    this.isDestroyed = true;
    window.cancelAnimationFrame(this.frame);
    this.tiles?.stop();
    this.world?.stop();
    // Safari keeps the memory of a canvas until it is collected.
    this.element.width = this.element.height = 0;
  }

  /** Find the first source that has pictures; the world, if there is none. */
  private async open(): Promise<void> {
    this.tiles?.stop();
    this.world?.stop();
    this.tiles = this.world = null;
    this.say("");
    const { sources, root } = this.options;
    for (const source of sources) {
      if (source.kind === "style") continue;
      if (source.kind === "raster") {
        const template = templateUrl(source.url, root);
        this.tiles = new RasterTiles({ template, minZoom: 0, maxZoom: 19 }, this.invalidate);
        this.say(source.attribution ?? "");
        break;
      }
      const found = await readTileJson(source, root).catch(() => null);
      if (this.isDestroyed || this.options.sources !== sources) return;
      if (found !== null && source.name === "world" && !(await canRunMapLibre())) {
        const { WorldOnCanvas } = await import("./world_canvas");
        if (this.isDestroyed || this.options.sources !== sources) return;
        this.world = new WorldOnCanvas(found, this.invalidate);
        this.say(found.attribution);
      }
      if (found === null || found.isVector) continue;
      const { template, minZoom, maxZoom } = found;
      this.tiles = new RasterTiles({ template, minZoom, maxZoom }, this.invalidate);
      this.say(found.attribution);
      break;
    }
    this.invalidate();
  }

  private say(attribution: string): void {
    if (attribution === this.attribution) return;
    this.attribution = attribution;
    this.events.onAttribution(attribution);
  }

  /** Draw once before the next picture of the screen, however often this is called until then. */
  private readonly invalidate = (): void => {
    if (this.frame !== 0 || this.isDestroyed) return;
    this.frame = window.requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  };

  private draw(): void {
    const { context, camera, size, options } = this;
    if (context === null || size.width === 0) return;
    const ratio = Math.min(MOST_RATIO, window.devicePixelRatio || 1);
    const pixels = `${size.width}x${size.height}@${ratio}`;
    if (pixels !== this.pixels) {
      this.pixels = pixels;
      this.element.width = Math.round(size.width * ratio);
      this.element.height = Math.round(size.height * ratio);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    const theme = themeOf(options.isDark);
    context.fillStyle = theme.ground;
    context.fillRect(0, 0, size.width, size.height);
    const grid = { theme, units: options.units, t: options.t, covered: options.covered };
    if (this.tiles === null) {
      this.world?.draw(context, camera, size, theme, options.t.code);
      const alpha = this.world === null ? 1 : bareness(camera.zoom);
      if (alpha === 0) return;
      context.globalAlpha = alpha;
      drawGraticule(context, camera, size, grid);
      if (this.own !== null) drawRings(context, camera, size, this.own, grid);
      context.globalAlpha = 1;
    } else {
      const isDimmed = options.isDark && options.sources[0]?.name === "standard";
      this.tiles.draw(context, camera, size, isDimmed ? theme.pictureAlpha : 1);
    }
  }
}
