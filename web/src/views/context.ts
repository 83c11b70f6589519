/** What every view gets: state, actions, and what belongs to the views alone. */

import { type Signal, signal } from "@preact/signals";
import type { Actions } from "../app/actions";
import type { AppState } from "../app/state";
import type { Storage } from "../io/storage";
import type { MapHandle } from "../map/surface";

export type DialogState =
  | { readonly kind: "menu" | "invite" | "settings" | "background" | "location" }
  | { readonly kind: "leave" | "end" | "step_down" | "new_link" }
  | { readonly kind: "remove"; readonly userId: string; readonly name: string };

export interface Ui {
  readonly dialog: Signal<DialogState | null>;
  /** Whether the sheet over the map is drawn up. */
  readonly isUp: Signal<boolean>;
  readonly map: Signal<MapHandle | null>;
  /** The session that was created just now, by its id. */
  readonly created: Signal<string>;
}

export interface Context {
  readonly state: AppState;
  readonly actions: Actions;
  readonly storage: Storage;
  readonly ui: Ui;
}

export function newContext(state: AppState, actions: Actions, storage: Storage): Context {
  return {
    state,
    actions,
    storage,
    ui: { dialog: signal(null), isUp: signal(false), map: signal(null), created: signal("") },
  };
}
