/**
 * This device's position: from the browser's Geolocation API, thinned by throttle.js, to `send`.
 *
 * A device at rest reports no new position, and neither does a dead geolocation. So after some
 * seconds of silence the page requests a position. A result is sent with its age; without a result
 * nothing is sent, and the person sees a message. A silent watch is restarted, and every watch is when
 * the page becomes visible: browsers let the watches of hidden pages die.
 *
 * `onPlace` gets every position at once, for the own marker. `onStatus` gets `asking`, `sharing`, or
 * the obstacle: `denied`, `unavailable` (no answer), `stale` (only an old position),
 * `insecure` (browsers give no position to pages that came over plain http), `unsupported`.
 */

import { now } from "./clock.js";
import { ageOf, FixReader, report } from "./fix.js";
import { RETENTION_MS } from "./session.js";
import { Throttle } from "./throttle.js";

const PERMISSION_DENIED = 1;
/** Silence after which a position is requested: the result arrives well within the retention. */
const ASK_AFTER_MS = 12_000;
const ANSWER_MS = 6_000;
/** Some browsers call neither callback. */
const NO_CALLBACK_MS = ANSWER_MS + 1_000;
/** A device that has a position gives it to a new watch at once. */
const REARMED_MS = 3_000;
/** The maximum age of a position that another page has requested. */
const CACHED_MS = 5_000;
/** For this long a watch without a position may be searching for satellites, and is not restarted. */
const ACQUIRE_MS = 45_000;

export class Locator {
  #throttle = new Throttle();
  #reader = new FixReader();
  #handlers;
  #watch = null;
  #watchGave = false;
  #armedAt = 0;
  #started = false;
  #asking = 0; // timers
  #answer = 0;
  #sending = 0;

  /** `send(data)` returns true when the position is on its way. */
  constructor({ send, onPlace, onStatus }) {
    this.#handlers = { send, onPlace, onStatus };
  }

  start() {
    const { onStatus } = this.#handlers;
    if (!window.isSecureContext) return onStatus("insecure");
    if (!navigator.geolocation) return onStatus("unsupported");
    this.#started = true;
    onStatus("asking");
    this.#arm();
    this.#followPermission();
  }

  stop() {
    this.#started = false;
    if (this.#watch !== null) navigator.geolocation.clearWatch(this.#watch);
    this.#watch = null;
    clearTimeout(this.#asking);
    clearTimeout(this.#answer);
    clearTimeout(this.#sending);
  }

  /** The page has become visible again. */
  resume() {
    if (!this.#started) return;
    this.#arm();
    this.#ask();
  }

  /** There is a new connection: it gets the newest position at once. */
  connected() {
    this.#throttle.restart();
    this.#pump();
  }

  #arm() {
    if (this.#watch !== null) navigator.geolocation.clearWatch(this.#watch);
    this.#watchGave = false;
    this.#armedAt = now();
    this.#watch = navigator.geolocation.watchPosition(
      (position) => {
        this.#watchGave = this.#found(position);
      },
      (error) => this.#failed(error.code),
      { enableHighAccuracy: true, maximumAge: 0 },
    );
  }

  #ask() {
    clearTimeout(this.#asking);
    clearTimeout(this.#answer);
    this.#answer = setTimeout(() => this.#failed(0), NO_CALLBACK_MS);
    navigator.geolocation.getCurrentPosition(
      (position) => this.#found(position),
      (error) => this.#failed(error.code),
      { enableHighAccuracy: true, maximumAge: CACHED_MS, timeout: ANSWER_MS },
    );
  }

  #askLater() {
    clearTimeout(this.#asking);
    clearTimeout(this.#answer);
    this.#asking = setTimeout(() => this.#ask(), ASK_AFTER_MS);
  }

  /** Returns whether it is a position. */
  #found(position) {
    if (!this.#started) return false;
    const fix = this.#reader.read(position, Date.now(), now());
    if (fix === null) {
      this.#failed(0);
      return false;
    }
    this.#askLater();
    const { newest } = this.#throttle;
    // An answer from a cache may be older than what the watch has given.
    if (newest !== null && fix.taken < newest.taken && ageOf(newest, now()) < RETENTION_MS) {
      return true;
    }
    this.#throttle.offer(fix);
    this.#handlers.onPlace(report(fix, now()));
    this.#handlers.onStatus(ageOf(fix, now()) < RETENTION_MS ? "sharing" : "stale");
    this.#pump();
    return true;
  }

  #failed(code) {
    if (!this.#started) return;
    clearTimeout(this.#asking);
    clearTimeout(this.#answer);
    const armedFor = now() - this.#armedAt;
    if (code !== PERMISSION_DENIED && this.#watchGave && armedFor >= REARMED_MS) {
      // It has worked before: report nothing until a new watch has failed too.
      this.#answer = setTimeout(() => this.#failed(0), REARMED_MS);
      return this.#arm();
    }
    clearTimeout(this.#sending);
    this.#throttle.withdraw();
    if (code === PERMISSION_DENIED) return this.#handlers.onStatus("denied");
    this.#handlers.onStatus("unavailable");
    this.#askLater();
    if (armedFor >= ACQUIRE_MS) this.#arm();
  }

  /** Before it is given a device that is silent may be waiting for its owner, and is not asked. */
  async #followPermission() {
    let permission;
    try {
      permission = await navigator.permissions.query({ name: "geolocation" });
    } catch {
      return; // older browsers have no such question
    }
    permission.onchange = () => permission.state === "granted" && this.resume();
    if (permission.state === "granted" && this.#started && !this.#watchGave) this.#askLater();
  }

  #pump() {
    clearTimeout(this.#sending);
    const { newest } = this.#throttle;
    if (newest === null) return;
    if (this.#throttle.wait(now()) === 0) {
      const data = report(newest, now());
      if (!this.#handlers.send(data)) return; // until connected() is called
      this.#throttle.take(now());
      this.#handlers.onPlace(data); // the first one came before the snapshot named this participant
    }
    const wait = this.#throttle.wait(now());
    if (wait !== Infinity) this.#sending = setTimeout(() => this.#pump(), wait + 5);
  }
}
