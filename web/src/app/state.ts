/**
 * The state of the page, as signals. Views and the map read these, and change them by the actions of
 * actions.ts only. Made once for each load of the page; a test makes its own.
 */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { now } from "../core/clock";
import { type Units, unitsOf } from "../core/format";
import type { Link } from "../core/link";
import { type MapType, mapTypes } from "../core/map_types";
import { english, type T } from "../i18n";
import type { Described, MapSource } from "../io/api";
import type { Battery } from "../io/battery";
import type { LocationStatus } from "../io/locator";
import type { Settings } from "../io/storage";
import type { SessionModel } from "./session_model";

/** Why there is nothing more to see of a session: the texts are `end.…` of the catalogue. */
export type EndKind =
  | "unknown"
  | "ended"
  | "left"
  | "removed"
  | "replaced"
  | "old_link"
  | "failed"
  | "unreachable";

export type Screen =
  | { readonly kind: "loading" }
  | { readonly kind: "home" }
  | {
      readonly kind: "join";
      readonly link: Link;
      readonly session: Described;
      /** `wrong`: the key in the link was refused. */
      readonly host: "yes" | "no" | "wrong";
    }
  | { readonly kind: "session"; readonly model: SessionModel }
  | {
      readonly kind: "end";
      readonly link: Link | null;
      readonly why: EndKind;
      readonly detail: string;
    };

/** What the map keeps in view: everyone, this device, one person, or nothing after it was moved. */
export type Follow =
  | { readonly kind: "everyone" | "me" | "nobody" }
  | { readonly kind: "person"; readonly userId: string };

export interface Notice {
  readonly id: number;
  readonly text: string;
}

export interface AppState {
  readonly screen: Signal<Screen>;
  /** All that this device is connected to; the one on the screen is in `screen`. */
  readonly sessions: Signal<readonly SessionModel[]>;
  readonly active: ReadonlySignal<SessionModel | null>;
  readonly t: Signal<T>;
  readonly settings: Signal<Settings>;
  readonly units: ReadonlySignal<Units>;
  /** Whether the page is dark: as its owner has set it, else as the device is. */
  readonly isDark: ReadonlySignal<boolean>;
  readonly prefersDark: Signal<boolean>;
  /** Milliseconds of core/clock.ts, each second: what shows an age reads it. */
  readonly now: Signal<number>;
  readonly isOffline: Signal<boolean>;
  readonly location: Signal<LocationStatus>;
  readonly isPaused: ReadonlySignal<boolean>;
  readonly isAwake: Signal<boolean>;
  readonly battery: Signal<Battery | null>;
  readonly follow: Signal<Follow>;
  /** The person whose sheet is open: a user id, or null. */
  readonly selected: Signal<string | null>;
  /** Quiet ones, for a live region and a toast: the newest last, and few. */
  readonly notices: Signal<readonly Notice[]>;
  /** As the operator has configured them; the first is the one to begin with. */
  readonly maps: Signal<readonly MapSource[]>;
  /** The types of map to choose from. */
  readonly mapTypes: ReadonlySignal<readonly MapType[]>;
}

export function newState(): AppState {
  const screen = signal<Screen>({ kind: "loading" });
  const settings = signal<Settings>({});
  const t = signal<T>(english);
  const prefersDark = signal(false);
  const maps = signal<readonly MapSource[]>([]);
  return {
    screen,
    sessions: signal([]),
    active: computed(() => (screen.value.kind === "session" ? screen.value.model : null)),
    t,
    settings,
    units: computed(() => settings.value.units ?? unitsOf(navigator.language)),
    isDark: computed(() => (settings.value.scheme ?? (prefersDark.value ? "dark" : "")) === "dark"),
    prefersDark,
    now: signal(now()),
    isOffline: signal(navigator.onLine === false),
    location: signal<LocationStatus>("off"),
    isPaused: computed(() => settings.value.isPaused === true),
    isAwake: signal(false),
    battery: signal<Battery | null>(null),
    follow: signal<Follow>({ kind: "everyone" }),
    selected: signal<string | null>(null),
    notices: signal<readonly Notice[]>([]),
    maps,
    mapTypes: computed(() => mapTypes(maps.value)),
  };
}
