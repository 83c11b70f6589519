/**
 * The ground by MapLibre GL: tiles of vectors drawn with WebGL. The only file that knows MapLibre; it
 * is loaded when the group is on the screen. Where the ground has no detail of its own, the graticule
 * and rings lie on it.
 */

import workerUrl from "virtual:maplibre-worker";
import { type GeoJSONSource, Map as GlMap, setWorkerUrl } from "maplibre-gl";
import type { Camera, Size } from "../core/camera";
import { type Place, unproject } from "../core/geo";
import type { MapSource } from "../io/api";
import { drawGraticule, drawRings } from "./grid";
import { bareness, isWithin, NothingFound, plain, readTileJson, templateUrl } from "./sources";
import { emptyStyle, type Ground, type Style, styleOf } from "./style";
import type { Surface, SurfaceEvents, SurfaceOptions } from "./surface";
import { themeOf } from "./theme";

const MOST_RATIO = 2.5;
const READY_MS = 20_000;
const ANSWER_MS = 3_000;
/** A source of which a worker is asked something, to learn whether it still lives. */
const PROBE = "probe";

setWorkerUrl(workerUrl);

export class MapLibreSurface implements Surface {
  readonly element: HTMLElement;
  readonly ready: Promise<void>;
  attribution = "";
  private readonly map: GlMap;
  private readonly overlay: HTMLCanvasElement;
  private readonly context: CanvasRenderingContext2D | null;
  private readonly events: SurfaceEvents;
  private readonly size: { width: number; height: number } = { width: 0, height: 0 };
  private options: SurfaceOptions;
  private ground: readonly Ground[] = [];
  private camera: Camera = { x: 0.5, y: 0.5, zoom: 1 };
  private own: Place | null = null;
  private overlayPixels = "";
  private isOverlaid = false;
  private isLost = false;
  private isDestroyed = false;

  /** Throws where there is no WebGL2. */
  constructor(options: SurfaceOptions, events: SurfaceEvents) {
    this.options = options;
    this.events = events;
    this.element = document.createElement("div");
    this.element.className = "map-ground";
    const container = this.element.appendChild(document.createElement("div"));
    container.className = "map-ground";
    this.overlay = this.element.appendChild(document.createElement("canvas"));
    this.overlay.style.display = "none";
    this.context = this.overlay.getContext("2d");
    this.map = new GlMap({
      container,
      style: emptyStyle(options.isDark) as never,
      interactive: false,
      attributionControl: false,
      trackResize: false, // show() says so
      pixelRatio: Math.min(MOST_RATIO, window.devicePixelRatio || 1),
      fadeDuration: 150,
      minZoom: -2,
      maxZoom: 24,
      maxTileCacheZoomLevels: 3,
      // The camera is what the markers follow: nothing may correct it.
      transformConstrain: (center, zoom) => ({ center, zoom }),
      validateStyle: false,
      refreshExpiredTiles: false,
    });
    container.style.position = "absolute"; // MapLibre's style sheet is not there
    const canvas = this.map.getCanvas();
    canvas.setAttribute("aria-hidden", "true");
    canvas.removeAttribute("role");
    canvas.removeAttribute("aria-label");
    canvas.addEventListener("webglcontextlost", () => {
      this.isLost = true;
      if (!this.isDestroyed) this.events.onLost();
    });
    // By then there is another map. There are few contexts to have: give this one back.
    canvas.addEventListener("webglcontextrestored", () => {
      canvas.getContext("webgl2")?.getExtension("WEBGL_lose_context")?.loseContext();
    });
    this.map.on("error", () => undefined); // a tile that does not come: otherwise each is written out
    this.ready = this.opened();
  }

  show(camera: Camera, size: Size): void {
    this.camera = camera;
    if (this.isLost || this.isDestroyed || size.width === 0) return;
    if (size.width !== this.size.width || size.height !== this.size.height) {
      this.size.width = size.width;
      this.size.height = size.height;
      this.map.resize();
    }
    const { lat } = unproject(camera);
    // MapLibre's zoom counts from a world of 512 pixels.
    this.map.jumpTo({ center: [camera.x * 360 - 180, lat], zoom: camera.zoom - 1 });
    this.map.redraw(); // now, not with the next picture: the markers have moved
    this.drawOverlay();
  }

  setOwn(place: Place | null): void {
    if (place?.lat === this.own?.lat && place?.lng === this.own?.lng) return;
    this.own = place;
    if (this.isOverlaid) this.drawOverlay();
  }

  setOptions(options: SurfaceOptions): void {
    const before = this.options;
    this.options = options;
    if (before.sources !== options.sources) void this.open().catch(() => undefined);
    else if (before.isDark !== options.isDark || before.t !== options.t) this.paint();
    this.drawOverlay();
  }

  async probe(): Promise<boolean> {
    if (this.isLost || this.map.painter?.context.gl.isContextLost()) return false;
    const source = this.map.getSource<GeoJSONSource>(PROBE);
    if (source === undefined) return true; // a style of somebody else
    // An error is an answer too: there is no such cluster.
    const answer = source.getClusterExpansionZoom(0).then(
      () => true,
      () => true,
    );
    const late = new Promise<boolean>((resolve) => {
      window.setTimeout(() => resolve(false), ANSWER_MS);
    });
    return Promise.race([answer, late]);
  }

  destroy(): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    this.overlay.width = this.overlay.height = 0;
    this.map.remove();
  }

  private async opened(): Promise<void> {
    await this.open();
    await new Promise<void>((resolve, reject) => {
      const timer = window.setTimeout(() => reject(new Error("no map in time")), READY_MS);
      const done = (): void => {
        window.clearTimeout(timer);
        resolve();
      };
      if (this.map.loaded()) done();
      else this.map.once("idle", done);
    });
  }

  /** Find out what the sources have, and draw it. Rejects when none of them can be had. */
  private async open(): Promise<void> {
    const { sources, root } = this.options;
    const [first] = sources;
    let ground: readonly Ground[] = [];
    if (first?.kind === "style") {
      this.ground = [];
      this.map.setStyle(new URL(first.url, root).href, { diff: false });
      this.map.once("idle", () => this.say(this.attributionOfStyle(first)));
      return;
    }
    const found = await Promise.all(sources.map((each) => groundOf(each, root).catch(() => null)));
    if (this.isDestroyed || sources !== this.options.sources) return;
    ground = found.filter((each): each is Ground => each !== null);
    if (ground.length === 0 && sources.length > 0) throw new NothingFound("no source can be had");
    this.ground = ground;
    this.say(
      ground
        .map((each) => each.attribution)
        .filter((each, at, all) => each !== "" && all.indexOf(each) === at)
        .join(" · "),
    );
    this.paint();
  }

  private paint(): void {
    if (this.options.sources[0]?.kind === "style") return;
    const style: Style = styleOf(this.ground, this.options.isDark, this.options.t.code, PROBE);
    // North and south of the map there is nothing to draw: sea, as it is there.
    const [ground] = style.layers;
    this.element.style.backgroundColor = String(ground?.paint?.["background-color"] ?? "");
    this.map.setStyle(style as never, { diff: true });
  }

  private say(attribution: string): void {
    this.attribution = attribution;
    this.events.onAttribution(attribution);
  }

  private attributionOfStyle(source: MapSource): string {
    if (source.attribution) return plain(source.attribution);
    const { sources } = this.map.getStyle();
    const texts = Object.keys(sources).map((id) =>
      plain((this.map.getSource(id) as { attribution?: string } | undefined)?.attribution ?? ""),
    );
    return texts.filter((each, at) => each !== "" && texts.indexOf(each) === at).join(" · ");
  }

  /** How much of the graticule is wanted here: 1 where the ground has no detail. */
  private bareness(): number {
    if (this.options.sources[0]?.kind === "style") return 0;
    const { camera } = this;
    const here = unproject(camera);
    if (this.ground.some((each) => !each.isWorld && isWithin(each.bounds, here))) return 0;
    if (this.ground.length === 0) return 1;
    return bareness(camera.zoom);
  }

  private drawOverlay(): void {
    const { context, overlay, size, options } = this;
    const alpha = this.bareness();
    const isShown = alpha > 0 && context !== null && size.width > 0;
    if (isShown !== this.isOverlaid) {
      this.isOverlaid = isShown;
      overlay.style.display = isShown ? "" : "none";
    }
    if (!isShown || context === null) return;
    const ratio = Math.min(MOST_RATIO, window.devicePixelRatio || 1);
    const pixels = `${size.width}x${size.height}@${ratio}`;
    if (pixels !== this.overlayPixels) {
      this.overlayPixels = pixels;
      overlay.width = Math.round(size.width * ratio);
      overlay.height = Math.round(size.height * ratio);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    context.clearRect(0, 0, size.width, size.height);
    overlay.style.opacity = alpha.toFixed(2);
    const grid = {
      theme: themeOf(options.isDark),
      units: options.units,
      t: options.t,
      covered: options.covered,
    };
    drawGraticule(context, this.camera, size, grid);
    if (this.own !== null) drawRings(context, this.camera, size, this.own, grid);
  }
}

async function groundOf(source: MapSource, root: string): Promise<Ground> {
  if (source.kind === "raster") {
    return {
      name: source.name,
      isWorld: false,
      isVector: false,
      tiles: rasterTemplates(templateUrl(source.url, root)),
      minZoom: 0,
      maxZoom: 19,
      bounds: [-180, -90, 180, 90],
      layers: [],
      attribution: plain(source.attribution ?? ""),
    };
  }
  const found = await readTileJson(source, root);
  const { isVector, template, minZoom, maxZoom, bounds, layers, attribution } = found;
  return {
    name: source.name,
    isWorld: source.name === "world",
    isVector,
    tiles: [template],
    minZoom,
    maxZoom,
    bounds,
    layers,
    attribution,
  };
}

/** MapLibre has no {s} and its {ratio} is not the {r} of the settings. */
function rasterTemplates(template: string): readonly string[] {
  const sharp = template.replace("{r}", window.devicePixelRatio > 1.5 ? "@2x" : "");
  if (sharp.indexOf("{s}") < 0) return [sharp];
  return ["a", "b", "c"].map((each) => sharp.replace("{s}", each));
}
