/**
 * What the device says of its position, and how old that is. Pure: the times are given, `wall` by
 * the clock on the wall as the device's timestamps are, `now` by clock.js.
 *
 * A device that has lost its position may go on giving the last one, so what counts is the time of
 * the fix. The clock that wrote it may be wrong, though (GPS time beside a phone's own, or counted
 * from another year): when the timestamps of several fixes keep step with the wall clock, the
 * distance between the two is such an error and no age.
 */

const DAY_MS = 86_400_000;
/** Timestamps that keep step for so long, within so much, are those of a live device. */
const STEADY_MS = 5_000;
const STEADY_FIXES = 4;
const JITTER_MS = 2_000;

export class FixReader {
  #steady = {}; // the distance that the last fixes keep
  #error = 0; // of the clock that writes the timestamps
  #fix = null; // the newest

  /**
   * The fix in a GeolocationPosition: `{taken, data}`, where `data` is a `location_update` without
   * its age. The same object again when the device repeats itself; null when it says no place.
   */
  read({ coords, timestamp }, wall, now) {
    const data = place(coords);
    if (data === null) return null;
    const again = timestamp === this.#fix?.timestamp;
    if (again && data.lat === this.#fix.data.lat && data.lng === this.#fix.data.lng) return this.#fix;
    const distance = wall - timestamp;
    this.#learn(timestamp, distance);
    const seeming = distance - this.#error;
    // From the future, older than any session, none, or that of another place: it says nothing.
    const age = seeming > 0 && seeming < DAY_MS && !again ? seeming : 0;
    data.timestamp = new Date(wall - age).toISOString();
    this.#fix = { timestamp, taken: now - age, data };
    return this.#fix;
  }

  #learn(timestamp, distance) {
    const steady = this.#steady;
    if (!(Math.abs(distance - steady.first) <= JITTER_MS)) {
      this.#steady = { since: timestamp, first: distance, least: distance, count: 1 };
      return;
    }
    steady.least = Math.min(steady.least, distance);
    steady.count += 1;
    const long = timestamp - steady.since >= STEADY_MS && steady.count >= STEADY_FIXES;
    if (long) this.#error = steady.least;
  }
}

/** How old a fix is. */
export const ageOf = (fix, now) => Math.max(0, now - fix.taken);

/** The `location_update` that reports a fix at `now`. */
export function report(fix, now) {
  return { ...fix.data, age_ms: Math.round(Math.min(DAY_MS, ageOf(fix, now))) };
}

/** Coordinates within the limits of the protocol; what is unknown is left out, never 0. */
function place(coords) {
  const { latitude, longitude } = coords;
  if (!Number.isFinite(latitude) || !Number.isFinite(longitude)) return null;
  if (Math.abs(latitude) > 90) return null;
  const data = { lat: latitude, lng: ((((longitude + 180) % 360) + 360) % 360) - 180 };
  const known = (name, value, low, high) => {
    if (typeof value === "number" && value >= low && value <= high) data[name] = value;
  };
  known("accuracy", coords.accuracy, 0, 100_000);
  known("altitude", coords.altitude, -12_000, 100_000);
  known("speed", coords.speed, 0, 1_000);
  known("heading", coords.heading, 0, 360);
  return data;
}
