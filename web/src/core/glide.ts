/** Movement between two positions, without jumps. Pure: times are milliseconds of clock.ts. */

import { type Point, wrapped } from "./geo";

const LEAST_MS = 200;
const MOST_MS = 2_200;
/** A leap too far to glide, in units of the map: about 4 km. */
const LEAP = 1e-4;

export interface Glide {
  readonly from: Point;
  readonly to: Point;
  readonly began: number;
  readonly duration: number;
}

/** At rest. */
export const resting = (at: Point): Glide => ({ from: at, to: at, began: 0, duration: 0 });

/**
 * The glide to a new position, from where the marker is now. `since_ms` is how long ago the position
 * before came: the next one is expected after as long. `still`: without gliding.
 */
export function glideTo(
  glide: Glide,
  to: Point,
  now: number,
  since_ms: number,
  still = false,
): Glide {
  const from = placeAt(glide, now);
  const far = Math.hypot(wrapped(to.x - from.x), to.y - from.y);
  if (still || far > LEAP) return { from: to, to, began: now, duration: 0 };
  return { from, to, began: now, duration: Math.max(LEAST_MS, Math.min(MOST_MS, since_ms)) };
}

export function placeAt({ from, to, began, duration }: Glide, now: number): Point {
  const share = duration > 0 ? Math.max(0, Math.min(1, (now - began) / duration)) : 1;
  return {
    x: from.x + wrapped(to.x - from.x) * share,
    y: from.y + (to.y - from.y) * share,
  };
}

export const isMoving = (glide: Glide, now: number): boolean => now - glide.began < glide.duration;
