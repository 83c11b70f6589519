/**
 * What the device says of its position, and how old that is. Pure: the times are given, `wall` by
 * the clock on the wall as the device's timestamps are, `now` by clock.ts.
 *
 * A device that has lost its position may go on giving the last one, so what counts is the time of
 * the fix. The clock that wrote it may be wrong, though (GPS time beside a phone's own, or counted
 * from another year): when the timestamps of several fixes keep step with the wall clock, the
 * distance between the two is such an error and no age.
 */

import type { Report } from "./protocol";

/** A fix: when it was taken by clock.ts, and the report of it without its age. */
export interface Fix {
  readonly timestamp: number;
  readonly taken: number;
  readonly data: Report;
}

/** What counts of a GeolocationPosition. */
export interface DevicePosition {
  readonly timestamp: number;
  readonly coords: {
    readonly latitude: number;
    readonly longitude: number;
    readonly accuracy?: number | null;
    readonly altitude?: number | null;
    readonly speed?: number | null;
    readonly heading?: number | null;
  };
}

interface Steady {
  readonly since: number;
  readonly first: number;
  least: number;
  count: number;
}

const DAY_MS = 86_400_000;
/** Timestamps that keep step for so long, within so much, are those of a live device. */
const STEADY_MS = 5_000;
const STEADY_FIXES = 4;
const JITTER_MS = 2_000;

export class FixReader {
  private steady: Steady | null = null; // the distance that the last fixes keep
  private error = 0; // of the clock that writes the timestamps
  private fix: Fix | null = null; // the newest

  /**
   * The fix in a GeolocationPosition: `{taken, data}`, where `data` is a `location_update` without
   * its age. The same object again when the device repeats itself; null when it says no place.
   */
  read({ coords, timestamp }: DevicePosition, wall: number, now: number): Fix | null {
    const data = place(coords);
    if (data === null) return null;
    const last = this.fix;
    const again = last !== null && timestamp === last.timestamp;
    if (again && data.lat === last.data.lat && data.lng === last.data.lng) return last;
    const distance = wall - timestamp;
    this.learn(timestamp, distance);
    const seeming = distance - this.error;
    // From the future, older than any session, none, or that of another place: it says nothing.
    const age = seeming > 0 && seeming < DAY_MS && !again ? seeming : 0;
    const report = { ...data, timestamp: new Date(wall - age).toISOString() };
    this.fix = { timestamp, taken: now - age, data: report };
    return this.fix;
  }

  private learn(timestamp: number, distance: number): void {
    const steady = this.steady;
    if (steady === null || !(Math.abs(distance - steady.first) <= JITTER_MS)) {
      this.steady = { since: timestamp, first: distance, least: distance, count: 1 };
      return;
    }
    steady.least = Math.min(steady.least, distance);
    steady.count += 1;
    const long = timestamp - steady.since >= STEADY_MS && steady.count >= STEADY_FIXES;
    if (long) this.error = steady.least;
  }
}

/** How old a fix is. */
export const ageOf = (fix: Fix, now: number): number => Math.max(0, now - fix.taken);

/** The `location_update` that reports a fix at `now`. */
export function report(fix: Fix, now: number): Report {
  return { ...fix.data, age_ms: Math.round(Math.min(DAY_MS, ageOf(fix, now))) };
}

type Coordinates = Omit<Report, "timestamp">;

/** Coordinates within the limits of the protocol; what is unknown is left out, never 0. */
function place(coords: DevicePosition["coords"]): Coordinates | null {
  const { latitude, longitude } = coords;
  if (!Number.isFinite(latitude) || !Number.isFinite(longitude)) return null;
  if (Math.abs(latitude) > 90) return null;
  const found: { -readonly [key in keyof Coordinates]: Coordinates[key] } = {
    lat: latitude,
    lng: ((((longitude + 180) % 360) + 360) % 360) - 180,
  };
  const known = (name: Optional, value: unknown, low: number, high: number): void => {
    if (typeof value === "number" && value >= low && value <= high) found[name] = value;
  };
  known("accuracy", coords.accuracy, 0, 100_000);
  known("altitude", coords.altitude, -12_000, 100_000);
  known("speed", coords.speed, 0, 1_000);
  known("heading", coords.heading, 0, 360);
  return found;
}

type Optional = "accuracy" | "altitude" | "speed" | "heading";
