/**
 * Milliseconds that only grow, whatever is done to the wall clock: by this everything that is shown
 * ages. It begins at the time of day, which means nothing after that.
 *
 * `performance.now()` alone stands still in some browsers while the device sleeps, and whoever was
 * live before would be live on waking. So a leap of the wall clock forwards counts as time that
 * passed: either it did, or somebody set the clock, and then positions look old until the next ones
 * come. A leap backwards counts as none.
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
