/**
 * What happens to the page: hidden and shown, offline and online, asleep and awake. One place, so that
 * a test can say it: a headless browser fires no visibility events.
 */

import type { Clock } from "../core/clock";

export type LifecycleEvent =
  /** The page can be seen again, or the device has slept: connections may be dead. */
  | "shown"
  /** Before that `shown`: the device has slept for long, or its clock was set by as much. Which of the
   * two, only the server can say: all that is counted from now may be wrong. */
  | "slept"
  | "hidden"
  | "online"
  | "offline"
  /** The page is about to go, perhaps for good. */
  | "leaving";

export interface Lifecycle {
  readonly isHidden: boolean;
  readonly isOffline: boolean;
  /** Returns the function that ends it. */
  listen(listener: (event: LifecycleEvent) => void): () => void;
}

const WATCH_MS = 1_000;
/** Less is no reason for another connection. */
const LEAP_MS = 30_000;

export class PageLifecycle implements Lifecycle {
  private readonly listeners = new Set<(event: LifecycleEvent) => void>();
  private jumps: number;
  private leapt: number;

  constructor(clock: Clock) {
    this.jumps = clock.jumpCount;
    this.leapt = clock.leaptMs;
    document.addEventListener("visibilitychange", () => {
      this.emit(document.hidden ? "hidden" : "shown");
    });
    // Out of the back-forward cache a page comes without having loaded.
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.emit("shown");
    });
    window.addEventListener("pagehide", () => this.emit("leaving"));
    window.addEventListener("online", () => this.emit("online"));
    window.addEventListener("offline", () => this.emit("offline"));
    window.setInterval(() => {
      clock.now();
      if (clock.jumpCount === this.jumps || document.hidden) return;
      const isLong = clock.leaptMs - this.leapt >= LEAP_MS;
      this.jumps = clock.jumpCount;
      this.leapt = clock.leaptMs;
      if (isLong) this.emit("slept");
      this.emit("shown");
    }, WATCH_MS);
  }

  get isHidden(): boolean {
    return document.hidden;
  }

  get isOffline(): boolean {
    return navigator.onLine === false;
  }

  listen(listener: (event: LifecycleEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private emit(event: LifecycleEvent): void {
    this.listeners.forEach((each) => {
      each(event);
    });
  }
}
