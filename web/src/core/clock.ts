/**
 * A monotonic clock in milliseconds, by which everything on the page ages. It starts at the time of
 * day, which has no meaning afterwards: times of the server are compared with times of the server
 * only, and their differences are put on this clock.
 *
 * In some browsers `performance.now()` stops while the device sleeps, and people who were live before
 * would be live on waking. So a jump of the wall clock forwards counts as time that passed: either it
 * did, or the clock was set, and positions look old until the next ones come. A jump backwards does
 * not count.
 */

/** Smaller ones are the clock being brought back to time, or the two being read one after the other. */
const JUMP_MS = 1_000;

export class Clock {
  private gap: number;
  private ahead: number;
  private readonly wall: () => number;
  private readonly steady: () => number;
  private jumps = 0;
  private leapt = 0;

  constructor(wall: () => number, steady: () => number) {
    this.wall = wall;
    this.steady = steady;
    this.gap = this.ahead = wall() - steady();
  }

  now(): number {
    const steady = this.steady();
    const gap = this.wall() - steady;
    if (Math.abs(gap - this.gap) > JUMP_MS) {
      const leap = Math.max(0, gap - this.gap);
      this.ahead += leap;
      this.leapt += leap;
      this.gap = gap;
      this.jumps += 1;
    }
    return steady + this.ahead;
  }

  /** How many jumps of the wall clock there have been: after one, connections may be dead. */
  get jumpCount(): number {
    return this.jumps;
  }

  /** How much time they have counted as passed: a sleep, or none, if the clock was set. */
  get leaptMs(): number {
    return this.leapt;
  }
}

const steadily = typeof performance === "undefined" ? () => Date.now() : () => performance.now();

export const clock = new Clock(() => Date.now(), steadily);
export const now = (): number => clock.now();
