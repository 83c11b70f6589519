/**
 * When this tab's position is sent. Pure: the time is given, milliseconds.
 *
 * Each position that the device gives once, at most one each 2 s, and of several the newest. Nothing
 * is sent again unless the device has given it again: see locator.js, which asks.
 */

export const LEAST_MS = 2_000;

export class Throttle {
  #newest = null;
  #due = false;
  #sentAt = -Infinity;

  /** The device has given a position, perhaps the same as before. */
  offer(position) {
    this.#newest = position;
    this.#due = true;
  }

  /** The device has lost its position. */
  withdraw() {
    this.#newest = null;
    this.#due = false;
  }

  /** The connection is new: the server may know nothing. */
  restart() {
    this.#due = this.#newest !== null;
    this.#sentAt = -Infinity;
  }

  get newest() {
    return this.#newest;
  }

  /** Milliseconds until something is to be sent; Infinity when there is nothing. */
  wait(now) {
    return this.#due ? Math.max(0, this.#sentAt + LEAST_MS - now) : Infinity;
  }

  /** What is to be sent now, or null. What is returned counts as sent. */
  take(now) {
    if (this.wait(now) > 0) return null;
    this.#due = false;
    this.#sentAt = now;
    return this.#newest;
  }
}
