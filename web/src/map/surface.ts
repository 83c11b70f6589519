/**
 * What draws the ground of the map: the canvas at once, MapLibre when it has come. Both lie under one
 * pane of markers and are told by one camera (core/camera.ts) what to show; gestures, following and
 * markers belong to the map that holds the surface. So one can be swapped for the other at any moment.
 */

import type { Camera, Size } from "../core/camera";
import type { Place } from "../core/geo";
import type { MapSource } from "../io/api";

export interface SurfaceOptions {
  /** What to draw; null is the ground that comes with the client. */
  readonly source: MapSource | null;
  readonly isDark: boolean;
  /** Below which relative addresses lie. */
  readonly root: string;
}

export interface Surface {
  /** Fills its parent; the map puts it beneath the markers. */
  readonly element: HTMLElement;
  /** Resolves once it shows something, so that it may replace another; rejects when it cannot. */
  readonly ready: Promise<void>;
  /** Show this part of the world. Called for each frame of a movement: cheap, and never waiting. */
  show(camera: Camera, size: Size): void;
  /** Where rings of distance go: this device's place. A surface without rings ignores it. */
  setOwn(place: Place | null): void;
  setOptions(options: SurfaceOptions): void;
  /** To be shown as text on the map; licences ask for it. */
  readonly attribution: string;
  /** Whether it still draws: a lost WebGL context or a killed worker says so here, on return. */
  probe(): Promise<boolean>;
  destroy(): void;
}

/** The map in the page: one for each page, made by map/map.ts. */
export interface MapHandle {
  zoomBy(delta: number): void;
  destroy(): void;
}
