/**
 * This device's position, by the browser's Geolocation API: every fix to `onFix`. When it is sent is
 * decided by core/rate.ts.
 *
 * A watch keeps the receiver hot. Who has stood still for a minute gets none, but a single fix every 14
 * s; the first that shows movement brings the watch back. A device at rest reports no new position,
 * and neither does a dead geolocation: so a silent watch is asked, and restarted when it does not
 * answer, and every watch is when the page is shown again. Browsers let the watches of hidden pages die.
 *
 * `onStatus` gets `asking`, `sharing`, or the obstacle: `denied`, `unavailable` (no answer), `stale`
 * (only an old position), `insecure` (browsers give no position to pages that came over plain http),
 * `unsupported`; `off` after `stop()`.
 */

import { now } from "../core/clock";
import { ageOf, type Fix, FixReader } from "../core/fix";
import { STALE_MS } from "../core/freshness";
import { distance } from "../core/geo";

export type LocationStatus =
  | "off"
  | "asking"
  | "sharing"
  | "denied"
  | "unavailable"
  | "stale"
  | "insecure"
  | "unsupported";

const PERMISSION_DENIED = 1;
/** Silence after which a fix is requested: it arrives well before the last one is stale. */
const ASK_AFTER_MS = 12_000;
/** Between single fixes, of who stands still: one arrives every 15 s. */
const STANDING_ASK_MS = 14_000;
const ANSWER_MS = 6_000;
/** Some browsers call neither callback. */
const NO_CALLBACK_MS = ANSWER_MS + 1_000;
/** A device that has a position gives it to a new watch at once. */
const REARMED_MS = 3_000;
/** The maximum age of a position that another page has requested. */
const CACHED_MS = 5_000;
/** For this long a watch without a position may be searching for satellites, and is not restarted. */
const ACQUIRE_MS = 45_000;
const STILL_AFTER_MS = 60_000;
/** Farther than this from where one stood is movement, whatever the receiver's noise. */
const MOVED_M = 20;

export interface LocatorHandlers {
  onFix(fix: Fix): void;
  onStatus(status: LocationStatus): void;
}

export class Locator {
  private readonly handlers: LocatorHandlers;
  private readonly reader = new FixReader();
  private watch: number | null = null;
  private watchGave = false;
  private armedAt = 0;
  private started = false;
  private frugal = false;
  private newest: Fix | null = null;
  private anchor: Fix | null = null; // where the device was when it last moved
  private asking = 0; // timers
  private answer = 0;

  constructor(handlers: LocatorHandlers) {
    this.handlers = handlers;
  }

  start(): void {
    if (this.started) return;
    const { onStatus } = this.handlers;
    if (!window.isSecureContext || !("geolocation" in navigator)) {
      onStatus(window.isSecureContext ? "unsupported" : "insecure");
      return;
    }
    this.started = true;
    onStatus("asking");
    this.arm();
    this.followPermission();
  }

  stop(): void {
    this.started = false;
    this.disarm();
    window.clearTimeout(this.asking);
    window.clearTimeout(this.answer);
    this.newest = this.anchor = null;
    this.handlers.onStatus("off");
  }

  get current(): Fix | null {
    return this.newest;
  }

  /** The page can be seen again, or its owner has changed the permission. */
  resume(): void {
    if (!this.started) return;
    this.arm();
    this.ask();
  }

  /** With a low battery the device may use what costs less. */
  setFrugal(frugal: boolean): void {
    if (frugal === this.frugal) return;
    this.frugal = frugal;
    if (this.watch !== null) this.arm();
  }

  private disarm(): void {
    if (this.watch !== null) navigator.geolocation.clearWatch(this.watch);
    this.watch = null;
  }

  private arm(): void {
    this.disarm();
    this.watchGave = false;
    this.armedAt = now();
    this.watch = navigator.geolocation.watchPosition(
      (position) => {
        this.watchGave = this.found(position);
      },
      (error) => this.failed(error.code),
      { enableHighAccuracy: !this.frugal, maximumAge: 0 },
    );
  }

  private ask(): void {
    window.clearTimeout(this.asking);
    window.clearTimeout(this.answer);
    this.answer = window.setTimeout(() => this.failed(0), NO_CALLBACK_MS);
    navigator.geolocation.getCurrentPosition(
      (position) => this.found(position),
      (error) => this.failed(error.code),
      { enableHighAccuracy: !this.frugal, maximumAge: CACHED_MS, timeout: ANSWER_MS },
    );
  }

  private askLater(): void {
    window.clearTimeout(this.asking);
    window.clearTimeout(this.answer);
    const wait = this.watch === null ? STANDING_ASK_MS : ASK_AFTER_MS;
    this.asking = window.setTimeout(() => this.ask(), wait);
  }

  /** Returns whether it is a position. */
  private found(position: GeolocationPosition): boolean {
    if (!this.started) return false;
    const fix = this.reader.read(position, Date.now(), now());
    if (fix === null) {
      this.failed(0);
      return false;
    }
    this.rest(fix);
    this.askLater();
    const { newest } = this;
    // An answer from a cache may be older than what the watch has given.
    if (newest !== null && fix.taken < newest.taken && ageOf(newest, now()) < STALE_MS) return true;
    this.newest = fix;
    this.handlers.onFix(fix);
    this.handlers.onStatus(ageOf(fix, now()) < STALE_MS ? "sharing" : "stale");
    return true;
  }

  /** Let the receiver rest while the device does. */
  private rest(fix: Fix): void {
    const { anchor } = this;
    const noise = Math.max(MOVED_M, Math.min(100, fix.data.accuracy ?? 0));
    if (anchor === null || distance(anchor.data, fix.data) > noise) {
      this.anchor = fix;
      if (this.watch === null) this.arm();
    } else if (this.watch !== null && fix.taken - anchor.taken >= STILL_AFTER_MS) this.disarm();
  }

  private failed(code: number): void {
    if (!this.started) return;
    window.clearTimeout(this.asking);
    window.clearTimeout(this.answer);
    const armedFor = now() - this.armedAt;
    // One that was armed just now is no reason for another: both may fail at once, for ever.
    const isWatched = armedFor >= REARMED_MS && (this.watch === null || this.watchGave);
    if (code !== PERMISSION_DENIED && this.newest !== null && isWatched) {
      // It has worked before: report nothing until a new watch has failed too.
      this.arm();
      this.answer = window.setTimeout(() => this.failed(0), REARMED_MS);
      return;
    }
    if (code === PERMISSION_DENIED) {
      this.newest = null;
      this.handlers.onStatus("denied");
      return;
    }
    this.handlers.onStatus("unavailable");
    this.askLater();
    if (armedFor >= ACQUIRE_MS) this.arm();
  }

  /** Before it is given a device that is silent may be waiting for its owner, and is not asked. */
  private async followPermission(): Promise<void> {
    let permission: PermissionStatus;
    try {
      permission = await navigator.permissions.query({ name: "geolocation" });
    } catch {
      return; // older browsers have no such question
    }
    permission.onchange = () => {
      if (permission.state === "granted") this.resume();
      // No browser need call a watch back that it has silenced.
      else if (permission.state === "denied") this.failed(PERMISSION_DENIED);
    };
    if (permission.state === "granted" && this.started && !this.watchGave) this.askLater();
  }
}
