/**
 * The ground of the map: the canvas at once, and MapLibre in its place when that can run and has
 * something to show. Should MapLibre stop, the canvas is there again.
 */

import type { Camera, Size } from "../core/camera";
import { now as clock } from "../core/clock";
import type { Place } from "../core/geo";
import { choose } from "../core/map_types";
import { CanvasSurface } from "./canvas";
import { canRunMapLibre } from "./probe";
import { NothingFound } from "./sources";
import type { MapOptions, Surface, SurfaceEvents, SurfaceOptions } from "./surface";

/** After MapLibre has failed this often in a row, the canvas stays until the page is shown anew. */
const MOST_FAILURES = 3;
const RETRY_MS = 5_000;
/** What could not be fetched is no failure of MapLibre: it is tried again, ever more seldom. */
const MOST_RETRY_MS = 60_000;
/** What has drawn for this long runs here: should it stop, the system took what it needs, as iOS does. */
const STEADY_MS = 30_000;

export class Ground {
  private readonly root: HTMLElement;
  private readonly onAttribution: (text: string) => void;
  private options: SurfaceOptions;
  private surface: Surface;
  /** What is shown, for the surface that comes next. */
  private view: { readonly camera: Camera; readonly size: Size } | null = null;
  private own: Place | null = null;
  private maplibre: "none" | "loading" | "shown" = "none";
  private failures = 0;
  private misses = 0;
  private retryAt = Number.NEGATIVE_INFINITY;
  private shownAt = 0;
  private isPaused = false;
  private isDestroyed = false;

  /** The first child of `root`. */
  constructor(root: HTMLElement, options: MapOptions, onAttribution: (text: string) => void) {
    this.root = root;
    this.onAttribution = onAttribution;
    this.options = this.optionsOf(options);
    this.surface = new CanvasSurface(
      this.options,
      this.eventsOf(() => this.surface),
    );
    root.insertBefore(this.surface.element, root.firstChild);
  }

  /** By the type of the map, which may be of another scheme than the page. */
  get isDark(): boolean {
    return this.options.isDark;
  }

  setOptions(options: MapOptions): void {
    this.options = this.optionsOf(options);
    this.surface.setOptions(this.options);
  }

  show(camera: Camera, size: Size): void {
    this.view = { camera, size };
    this.surface.show(camera, size);
  }

  setOwn(place: Place | null): void {
    this.own = place;
    this.surface.setOwn(place);
  }

  /** Load MapLibre and put it beneath the markers, when there is something it can draw. */
  async bringMapLibre(): Promise<void> {
    if (this.maplibre !== "none" || this.failures >= MOST_FAILURES || this.isDestroyed) return;
    const { sources } = this.options;
    if (sources.length === 0 || this.view === null) return;
    // Who saves data gets it for a map of the town, and does without the outlines of countries.
    if (savesData() && sources.every((each) => each.name === "world")) return;
    if (clock() < this.retryAt) return;
    this.maplibre = "loading";
    let made: Surface | null = null;
    let isFetched = false;
    try {
      if (!(await canRunMapLibre())) {
        this.failures = MOST_FAILURES;
        this.maplibre = "none";
        return;
      }
      // The group is on the screen before anything else is fetched or parsed.
      await new Promise((resolve) => window.requestAnimationFrame(() => setTimeout(resolve)));
      const { MapLibreSurface } = await import("./maplibre");
      isFetched = true;
      if (this.isDestroyed) return;
      made = new MapLibreSurface(
        this.options,
        this.eventsOf(() => made),
      );
      this.root.insertBefore(made.element, this.surface.element);
      made.show(this.view.camera, this.view.size);
      await made.ready;
      if (this.isDestroyed) return made.destroy();
      this.replace(made);
      this.misses = 0;
      this.maplibre = "shown";
      this.shownAt = clock();
    } catch (error) {
      console.warn("MapLibre:", error);
      const isMissing = !isFetched || error instanceof NothingFound;
      if (isMissing) this.misses += 1;
      else this.failures += 1;
      const wait = isMissing ? RETRY_MS * 2 ** (this.misses - 1) : RETRY_MS;
      this.retryAt = clock() + Math.min(wait, MOST_RETRY_MS);
      this.maplibre = "none";
      if (made !== null) {
        made.element.remove();
        made.destroy();
      }
    }
  }

  /** The page is hidden: load nothing. */
  pause(): void {
    this.isPaused = true;
  }

  /** Find out whether what draws still can. Whether MapLibre may come, if it does not draw now. */
  resume(mayBring: boolean): void {
    this.isPaused = false;
    this.failures = Math.min(this.failures, MOST_FAILURES - 1);
    this.retryAt = Number.NEGATIVE_INFINITY;
    const { surface } = this;
    void surface.probe().then((draws) => {
      if (!draws && surface === this.surface) this.lost();
      else if (mayBring) void this.bringMapLibre();
    });
  }

  destroy(): void {
    this.isDestroyed = true;
    this.surface.destroy();
  }

  private optionsOf(options: MapOptions): SurfaceOptions {
    const { sources, isDark } = choose(options.type, options.sources, options.isDark);
    const before = this.options as SurfaceOptions | undefined;
    // The same sources are the same array: who compares them need not look inside.
    const isSame =
      before !== undefined &&
      before.sources.length === sources.length &&
      before.sources.every((each, at) => each === sources[at]);
    return {
      sources: isSame ? before.sources : sources,
      isDark,
      root: options.root,
      units: options.units,
      t: options.t,
      covered: options.padding,
    };
  }

  private eventsOf(which: () => Surface | null): SurfaceEvents {
    return {
      onAttribution: (text) => {
        // The canvas says so from within its constructor, before it is anybody's surface.
        if (which() === this.surface) this.onAttribution(text);
      },
      onLost: () => {
        if (which() === this.surface) this.lost();
      },
    };
  }

  private replace(surface: Surface): void {
    const before = this.surface;
    this.surface = surface;
    surface.setOptions(this.options);
    surface.setOwn(this.own);
    if (this.view !== null) surface.show(this.view.camera, this.view.size);
    this.onAttribution(surface.attribution);
    before.element.remove();
    before.destroy();
  }

  /**
   * MapLibre draws no more: the canvas again, and MapLibre anew. At once if it had run well, after a
   * while if not, and never while nobody looks.
   */
  private lost(): void {
    if (this.isDestroyed) return;
    const now = clock();
    if (now - this.shownAt >= STEADY_MS) this.failures = 0;
    else {
      this.failures += 1;
      this.retryAt = now + RETRY_MS;
    }
    this.maplibre = "none";
    const canvas: CanvasSurface = new CanvasSurface(
      this.options,
      this.eventsOf(() => canvas),
    );
    this.root.insertBefore(canvas.element, this.surface.element);
    this.replace(canvas);
    if (!this.isPaused) void this.bringMapLibre();
  }
}

function savesData(): boolean {
  const { connection } = navigator as { connection?: { readonly saveData?: boolean } };
  return connection?.saveData === true;
}
