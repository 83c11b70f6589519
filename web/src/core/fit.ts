/**
 * Whom "show everyone" shows: the group, without the few who are so far away that the others would
 * become a dot. Arrows at the edge point to those. Pure.
 */

import { distance, type Place } from "./geo";

/** Within this everyone is shown, whatever the shape of the group. */
const NEAR_M = 3_000;
/** The group takes at least about an eighth of the map. */
const RATIO = 8;

/** For each place whether it belongs to the group. Of one or two places each does. */
export function inGroup(places: readonly Place[]): boolean[] {
  if (places.length < 3) return places.map(() => true);
  const middle = centre(places);
  const far = places.map((each) => distance(middle, each));
  const sorted = [...far].sort((a, b) => a - b);
  const half = sorted[Math.floor((sorted.length - 1) / 2)]!;
  const limit = Math.max(NEAR_M, half * RATIO);
  return far.map((each) => each <= limit);
}

/** The place from which the half of the others is nearest: no outlier moves it. */
function centre(places: readonly Place[]): Place {
  let best = places[0]!;
  let least = Number.POSITIVE_INFINITY;
  for (const each of places) {
    const far = places.map((other) => distance(each, other)).sort((a, b) => a - b);
    const half = far[Math.floor(places.length / 2)]!;
    if (half < least) {
      least = half;
      best = each;
    }
  }
  return best;
}
