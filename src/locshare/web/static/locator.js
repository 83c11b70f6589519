/**
 * This device's position: from the browser's Geolocation API, thinned by throttle.js, to `send`.
 *
 * `onPlace` gets every position at once, for one's own marker. `onStatus` gets `asking`, `sharing`,
 * and what stands in the way: `denied`, `unavailable` (no signal), `insecure` (browsers give no
 * position to pages that came over plain http), `unsupported`.
 */

import { Throttle } from "./throttle.js";

const PERMISSION_DENIED = 1;

export class Locator {
  #throttle = new Throttle();
  #handlers;
  #watch = null;
  #timer = 0;

  /** `send(data)` returns true when the position is on its way. */
  constructor({ send, onPlace, onStatus }) {
    this.#handlers = { send, onPlace, onStatus };
  }

  start() {
    const { onStatus } = this.#handlers;
    if (!window.isSecureContext) return onStatus("insecure");
    if (!navigator.geolocation) return onStatus("unsupported");
    onStatus("asking");
    this.#watch = navigator.geolocation.watchPosition(
      (position) => this.#found(position),
      (error) => this.#failed(error),
      { enableHighAccuracy: true, maximumAge: 0 },
    );
  }

  stop() {
    if (this.#watch !== null) navigator.geolocation.clearWatch(this.#watch);
    this.#watch = null;
    clearTimeout(this.#timer);
  }

  /** There is a new connection: it gets the newest position at once. */
  connected() {
    this.#throttle.restart();
    this.#pump();
  }

  #found(position) {
    const data = update(position, Date.now());
    this.#throttle.offer(data);
    this.#handlers.onPlace(data);
    this.#handlers.onStatus("sharing");
    this.#pump();
  }

  #failed(error) {
    this.#throttle.withdraw();
    this.#handlers.onStatus(error.code === PERMISSION_DENIED ? "denied" : "unavailable");
  }

  #pump() {
    clearTimeout(this.#timer);
    const now = performance.now();
    if (this.#throttle.wait(now) === 0) {
      if (!this.#handlers.send(this.#throttle.newest)) return; // until connected() is called
      this.#throttle.take(now);
      this.#handlers.onPlace(this.#throttle.newest);
    }
    const wait = this.#throttle.wait(now);
    if (wait !== Infinity) this.#timer = setTimeout(() => this.#pump(), wait + 5);
  }
}

/** A GeolocationPosition as `location_update` data, within the limits of the protocol. */
export function update({ coords, timestamp }, now) {
  const within = (value, low, high) =>
    typeof value === "number" && value >= low && value <= high ? value : null;
  // Some browsers have counted this time from another year than 1970.
  const time = Math.abs(timestamp - now) < 86_400_000 ? timestamp : now;
  return {
    lat: coords.latitude,
    lng: ((((coords.longitude + 180) % 360) + 360) % 360) - 180,
    accuracy: Math.min(100_000, Math.max(0, coords.accuracy || 0)),
    timestamp: new Date(time).toISOString(),
    altitude: within(coords.altitude, -12_000, 100_000),
    speed: within(coords.speed, 0, 1_000),
    heading: within(coords.heading, 0, 360),
  };
}
