/**
 * A monotonic clock in milliseconds, by which everything on the page ages. It starts at the time of
 * day, which has no meaning afterwards.
 *
 * In some browsers `performance.now()` stops while the device sleeps, and people who were live before
 * would be live on waking. So a jump of the wall clock forwards counts as time that passed: either it
 * did, or the clock was set, and positions look old until the next ones come. A jump backwards does
 * not count.
 */

/** Smaller ones are the clock being brought back to time, or the two being read one after the other. */
const LEAP_MS = 1_000;

let gap = Date.now() - performance.now();
let ahead = gap;

export function now() {
  const steady = performance.now();
  const seen = Date.now() - steady;
  if (Math.abs(seen - gap) > LEAP_MS) {
    ahead += Math.max(0, seen - gap);
    gap = seen;
  }
  return steady + ahead;
}
