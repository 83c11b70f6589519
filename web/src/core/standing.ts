/** How a person stands, for the list and their sheet: what is known of them, and what it is worth. Pure. */

import { STALE_MS } from "./freshness";
import type { Person } from "./session";

export type Standing =
  | { readonly kind: "live" | "no_position" }
  /** The position is from `age` milliseconds ago, and no newer one can have come. */
  | { readonly kind: "here" | "paused" | "hidden"; readonly age: number | null }
  | { readonly kind: "offline"; readonly age: number };

/** `isLive`: whether this device's connection is. Without it nobody else can be called live. */
export function standing(person: Person, now: number, isLive: boolean): Standing {
  const { place, online, state, lastSeen } = person;
  const age = place === null ? null : Math.max(0, now - place.at);
  if (!online) return { kind: "offline", age: Math.max(0, now - lastSeen) };
  if (state === "paused") return { kind: "paused", age };
  const isFresh = age !== null && age < STALE_MS;
  if (state === "hidden" && !isFresh) return { kind: "hidden", age };
  if (age === null) return { kind: "no_position" };
  return isFresh && isLive ? { kind: "live" } : { kind: "here", age };
}
