/**
 * When this device's position is sent. Pure: the time is given, milliseconds.
 *
 * Who moves is sent every 2 s, who stands every 15 s, which keeps them live for the others. The server
 * may request a longer interval, and a distance below which a position says nothing new (`pace`).
 * Each fix is sent once; of several the newest. A device that gives no more fixes is not repeated: the
 * others see it age.
 */

import type { Fix } from "./fix";
import { distance } from "./geo";

export const MOVING_MS = 2_000;
export const STANDING_MS = 15_000;
/** Less than this is the noise of a receiver that stands still. */
const NOISE_M = 8;
const WALKING_MPS = 0.7;

export interface Pace {
  readonly interval_s: number;
  readonly min_distance_m: number;
}

export const NO_PACE: Pace = { interval_s: 0, min_distance_m: 0 };

export class SendSchedule {
  private newestFix: Fix | null = null;
  private due = false;
  private sentAt = Number.NEGATIVE_INFINITY;
  private sent: Fix | null = null;
  private pace = NO_PACE;

  get newest(): Fix | null {
    return this.newestFix;
  }

  /** The device has given a fix, perhaps the same as before. */
  offer(fix: Fix): void {
    this.newestFix = fix;
    this.due = true;
  }

  /** The device has lost its position, or its owner has paused. */
  withdraw(): void {
    this.newestFix = null;
    this.due = false;
  }

  /** The connection is new: the server may know nothing. */
  restart(): void {
    this.due = this.newestFix !== null;
    this.sentAt = Number.NEGATIVE_INFINITY;
    this.sent = null;
    this.pace = NO_PACE;
  }

  /** What the server requests: out of bounds it counts as nothing. */
  request(pace: Pace): void {
    const within = (value: number, most: number): number =>
      typeof value === "number" && value >= 0 && value <= most ? value : 0;
    this.pace = {
      interval_s: within(pace.interval_s, 60),
      min_distance_m: within(pace.min_distance_m, 10_000),
    };
  }

  /** Milliseconds until something is to be sent; Infinity when there is nothing. */
  wait(now: number): number {
    if (!this.due || this.newestFix === null) return Number.POSITIVE_INFINITY;
    const interval = Math.max(
      this.moved(this.newestFix) ? MOVING_MS : STANDING_MS,
      this.pace.interval_s * 1000,
    );
    return Math.max(0, this.sentAt + interval - now);
  }

  /** What is to be sent now, or null. What is returned counts as sent. */
  take(now: number): Fix | null {
    if (this.wait(now) > 0) return null;
    this.due = false;
    this.sentAt = now;
    this.sent = this.newestFix;
    return this.newestFix;
  }

  private moved(fix: Fix): boolean {
    if (this.sent === null) return true;
    const least = Math.max(NOISE_M, this.pace.min_distance_m);
    const far = distance(this.sent.data, fix.data);
    return far >= least || (far >= this.pace.min_distance_m && (fix.data.speed ?? 0) > WALKING_MPS);
  }
}
