/**
 * The map's parts and what they say to each other.
 *
 * A view makes the map of the page by `makeMap` of map.ts, which binds the state of the page to a
 * GroupMap (group_map.ts): people go in, what people do comes out, and it knows nothing else.
 *
 * A surface draws the ground: the canvas at once, MapLibre when it has come. Both lie under one pane of
 * markers and are told by one camera (core/camera.ts) what to show; gestures, following and markers
 * belong to the map that holds the surface. So one can be swapped for the other at any moment.
 */

import type { Actions } from "../app/actions";
import type { AppState, Follow } from "../app/state";
import type { Box, Camera, Padding, Size } from "../core/camera";
import type { FormatKey, Units } from "../core/format";
import type { Place } from "../core/geo";
import type { Translator } from "../core/i18n";
import type { MapType } from "../core/map_types";
import type { NameKey } from "../core/names";
import type { Person } from "../core/session";
import type { MapSource } from "../io/api";
import type { Lifecycle } from "../io/lifecycle";

/** The keys of the catalogue that the map uses. */
export type MapKey =
  | FormatKey
  | NameKey
  | "map.label"
  | "map.you_and"
  | "map.people"
  | "person.paused"
  | "person.hidden";

export interface SurfaceOptions {
  /** What to draw, the first one on top; none is a grid. */
  readonly sources: readonly MapSource[];
  readonly isDark: boolean;
  /** Below which relative addresses lie; ends with a slash. */
  readonly root: string;
  readonly units: Units;
  readonly t: Translator<MapKey>;
  /** What lies over the map. */
  readonly covered: Padding;
}

export interface Surface {
  /** Fills its parent; the map puts it beneath the markers. */
  readonly element: HTMLElement;
  /** Resolves once it shows something, so that it may replace another; rejects when it cannot. */
  readonly ready: Promise<void>;
  /** Show this part of the world. Called for each frame of a movement: cheap, and never waiting. */
  show(camera: Camera, size: Size): void;
  /** Where rings of distance go: this device's place. */
  setOwn(place: Place | null): void;
  setOptions(options: SurfaceOptions): void;
  /** To be shown as text on the map; licences ask for it. */
  readonly attribution: string;
  /** Whether it still draws: a lost WebGL context or a killed worker says so here, on return. */
  probe(): Promise<boolean>;
  destroy(): void;
}

/** What a surface says while it lives. */
export interface SurfaceEvents {
  onAttribution(text: string): void;
  /** It draws no more and must be replaced. */
  onLost(): void;
}

/** What the map is made with: `makeMap(parent, context)` of map/map.ts, loaded when it is first shown. */
export interface MapContext {
  /** The map shows `state.active`, whichever that becomes, in `state.isDark`, by `settings.map`. */
  readonly state: AppState;
  readonly actions: Actions;
  /** Of the page: a map that nobody sees draws nothing. */
  readonly lifecycle: Lifecycle;
  /** Below which relative addresses lie. */
  readonly root: string;
}

/** The map in the page: one for each page. Its buttons belong to the views. */
export interface MapHandle {
  /** Zoom by levels, about the middle. */
  zoomBy(delta: number): void;
  /**
   * What covers the map at its edges: people, arrows and its own labels keep clear of it. `island`:
   * buttons at the left or right edge, beside which there is map above and below.
   */
  setPadding(padding: Padding, island?: Box | null): void;
  destroy(): void;
}

export type MakeMap = (parent: HTMLElement, context: MapContext) => MapHandle;

/** What a GroupMap is made with, and may be told anew. */
export interface MapOptions {
  /** Below which relative addresses lie; ends with a slash. */
  readonly root: string;
  /** What the server offers (`/config.json`). */
  readonly sources: readonly MapSource[];
  readonly type: MapType;
  /** The scheme of the page: `type` may be of another. */
  readonly isDark: boolean;
  readonly units: Units;
  readonly t: Translator<MapKey>;
  /** Without movement that only pleases (prefers-reduced-motion). */
  readonly isStill: boolean;
  /** Pixels on each side that sheets and controls cover: what is followed keeps clear of them. */
  readonly padding: Padding;
  /** What covers a part of the left or right edge. */
  readonly island: Box | null;
}

export interface MapEvents {
  /** A person was pressed, on the map or as an arrow at its edge. */
  onPerson(userId: string): void;
  /** A stack of people was pressed: it fans out without further help. */
  onStack(userIds: readonly string[]): void;
  /** The map itself was pressed, where nobody is. */
  onGround(): void;
  /** The user has moved the map: it follows nothing more. Or an arrow was pressed. */
  onFollow(what: Follow): void;
}

/** The map without the rest of the page: made by createMap of group_map.ts, a child of `parent`. */
export interface GroupMapHandle {
  /** The people as they are now. Call it when they change, and each second with the same so that they age. */
  show(people: readonly Person[], now: number): void;
  /** Keep in view what is followed; calling it again goes there again. */
  follow(what: Follow): void;
  /** Draw this person above the others, in no stack, and bring them onto the screen. */
  select(userId: string | null): void;
  setOptions(change: Partial<MapOptions>): void;
  /** Zoom by levels, about the middle. */
  zoomBy(delta: number): void;
  /** The place of the page has changed its size; where there is a ResizeObserver it is noticed. */
  resize(): void;
  /** The page is hidden: draw nothing. */
  pause(): void;
  /** The page is shown again: draw, and find out whether the ground still can. */
  resume(): void;
  destroy(): void;
}
