/**
 * What each row of a list shows, as a signal of its own: a row is drawn again when it looks different,
 * and no other row with it. Where everyone ages in the same second, each picture of the screen takes a
 * few of them, so that none has to wait for all.
 */

import { batch, type ReadonlySignal, type Signal, signal } from "@preact/signals";

/** So many that look different: looking at the others costs next to nothing. */
const ROWS_A_FRAME = 12;

export interface Named {
  readonly userId: string;
}

export class Looks<Person extends Named, Look extends object> {
  /** Set by the view whenever it is drawn: of what the look is made may have changed. */
  lookOf: (person: Person) => Look;

  private readonly signals = new Map<string, Signal<Look>>();
  private waiting: readonly Person[] = [];
  private frame = 0;

  constructor(lookOf: (person: Person) => Look) {
    this.lookOf = lookOf;
  }

  of(person: Person): ReadonlySignal<Look> {
    let found = this.signals.get(person.userId);
    if (found === undefined) {
      found = signal(this.lookOf(person));
      this.signals.set(person.userId, found);
    }
    return found;
  }

  /** Everyone at once; who is not among them is forgotten. */
  refresh(people: readonly Person[]): void {
    const gone = new Set(this.signals.keys());
    batch(() => {
      for (const each of people) {
        gone.delete(each.userId);
        this.look(each);
      }
    });
    gone.forEach((userId) => {
      this.signals.delete(userId);
    });
    this.stop();
  }

  /** A few in each picture of the screen, beginning where the last time did not come to. */
  age(people: readonly Person[]): void {
    const [next] = this.waiting;
    const from = Math.max(0, next ? people.findIndex((each) => each.userId === next.userId) : 0);
    this.waiting = people.slice(from).concat(people.slice(0, from));
    if (this.frame === 0) this.frame = window.requestAnimationFrame(this.step);
  }

  stop(): void {
    window.cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.waiting = [];
  }

  private readonly step = (): void => {
    const { waiting } = this;
    let at = 0;
    batch(() => {
      for (let changed = 0; at < waiting.length && changed < ROWS_A_FRAME; at += 1) {
        if (this.look(waiting[at]!)) changed += 1;
      }
    });
    this.waiting = waiting.slice(at);
    this.frame = this.waiting.length === 0 ? 0 : window.requestAnimationFrame(this.step);
  };

  /** Whether it is another one than before. */
  private look(person: Person): boolean {
    const found = this.signals.get(person.userId);
    if (found === undefined) return false; // not drawn yet
    const before = found.peek();
    const look = this.lookOf(person);
    const isSame = (Object.keys(look) as (keyof Look)[]).every((key) => look[key] === before[key]);
    if (!isSame) found.value = look;
    return !isSame;
  }
}
