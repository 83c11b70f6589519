/**
 * What draws the ground of the map: the canvas at once, MapLibre when it has come. Both lie under one
 * pane of markers and are told by one camera (core/camera.ts) what to show; gestures, following and
 * markers belong to the map that holds the surface. So one can be swapped for the other at any moment.
 */

import type { Actions } from "../app/actions";
import type { AppState } from "../app/state";
import type { Camera, Padding, Size } from "../core/camera";
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

/** What the map is made with: `makeMap(parent, context)` of map/map.ts, loaded when it is first shown. */
export interface MapContext {
  /** The map shows `state.active`, whichever that becomes, in `state.isDark`, by `settings.map`. */
  readonly state: AppState;
  readonly actions: Actions;
  /** Below which relative addresses lie. */
  readonly root: string;
}

/** The map in the page: one for each page. Its buttons belong to the views. */
export interface MapHandle {
  zoomBy(delta: number): void;
  /** What covers the map at its edges: people, arrows and its own labels keep clear of it. */
  setPadding(padding: Padding): void;
  destroy(): void;
}

export type MakeMap = (parent: HTMLElement, context: MapContext) => MapHandle;
