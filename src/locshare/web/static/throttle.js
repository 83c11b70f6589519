/**
 * When this tab's position is sent. Pure: the time is given, milliseconds.
 *
 * At most each 2 s, whatever the device delivers; and again after 15 s without a new one, since
 * whoever stands still gives none, and the position would be forgotten after 30 s. A position that
 * the device has withdrawn (no signal, no permission) is not sent again.
 */

export const LEAST_MS = 2_000;
export const REPEAT_MS = 15_000;

export class Throttle {
  #newest = null;
  #sent = null; // the last one sent
  #sentAt = -Infinity;

  /** The device has a new position. */
  offer(position) {
    this.#newest = position;
  }

  /** The device has lost its position. */
  withdraw() {
    this.#newest = null;
  }

  /** The connection is new: the server may know nothing. */
  restart() {
    this.#sent = null;
    this.#sentAt = -Infinity;
  }

  get newest() {
    return this.#newest;
  }

  /** Milliseconds until something is to be sent; Infinity when there is nothing. */
  wait(now) {
    if (this.#newest === null) return Infinity;
    const pause = this.#newest === this.#sent ? REPEAT_MS : LEAST_MS;
    return Math.max(0, this.#sentAt + pause - now);
  }

  /** What is to be sent now, or null. What is returned counts as sent. */
  take(now) {
    if (this.wait(now) > 0) return null;
    this.#sent = this.#newest;
    this.#sentAt = now;
    return this.#newest;
  }
}
