/**
 * What the page says in a line and takes back by itself: `notices` of state.ts, a toast and a live
 * region. Who comes or goes alone is named at once; a crowd behind them is one more notice, so that a
 * screen reader does not read a hundred names.
 */

import type { Happening } from "../core/happenings";
import { asName, isolated } from "../core/names";
import type { Lifecycle } from "../io/lifecycle";
import type { AppState, Notice } from "./state";

const MOST_NOTICES = 3;
/** A notice stays so long at least, and longer where there is more to read: 100 words a minute. */
const NOTICE_MS = 6_000;
const LETTER_MS = 100;
/** For so long after one, others who do the same are counted. */
const CROWD_MS = 4_000;

type Crowding = "joined" | "left";

/** Whoever did the same since the last notice of it. */
interface Crowd {
  names: string[];
}

export class Notices {
  private readonly state: AppState;
  private readonly lifecycle: Pick<Lifecycle, "isHidden">;
  private readonly crowds = new Map<Crowding, Crowd>();
  private count = 0;

  constructor(state: AppState, lifecycle: Pick<Lifecycle, "isHidden">) {
    this.state = state;
    this.lifecycle = lifecycle;
  }

  say(text: string): void {
    this.count += 1;
    const notice = { id: this.count, text };
    const { notices } = this.state;
    notices.value = [...notices.peek(), notice].slice(-MOST_NOTICES);
    this.fade(notice);
  }

  /** What a session has to tell. */
  tell(happening: Happening): void {
    const { kind } = happening;
    if (kind === "joined" || kind === "left") this.gather(kind, happening.name);
    else {
      const values = "name" in happening ? { name: this.named(happening.name) } : {};
      this.say(this.state.t.peek()(`notice.${kind}`, values));
    }
  }

  dismiss(id: number): void {
    const { notices } = this.state;
    notices.value = notices.peek().filter((each) => each.id !== id);
  }

  /** Somebody looks at the page again: from now on what was said meanwhile goes by itself. */
  seen(): void {
    for (const each of this.state.notices.peek()) this.fade(each);
  }

  private gather(kind: Crowding, name: string): void {
    const crowd = this.crowds.get(kind);
    if (crowd !== undefined) crowd.names.push(name);
    else this.tellOf(kind, [name]);
  }

  private tellOf(kind: Crowding, names: readonly string[]): void {
    const t = this.state.t.peek();
    this.say(
      names.length === 1
        ? t(`notice.${kind}`, { name: this.named(names[0]!) })
        : t(`notice.${kind}.more`, { n: names.length }),
    );
    const crowd: Crowd = { names: [] };
    this.crowds.set(kind, crowd);
    window.setTimeout(() => {
      this.crowds.delete(kind);
      if (crowd.names.length > 0) this.tellOf(kind, crowd.names);
    }, CROWD_MS);
  }

  private named(name: string): string {
    return isolated(asName(this.state.t.peek(), name));
  }

  /** What was said while nobody looked stays until somebody does. */
  private fade({ id, text }: Notice): void {
    window.setTimeout(
      () => {
        if (!this.lifecycle.isHidden) this.dismiss(id);
      },
      Math.max(NOTICE_MS, text.length * LETTER_MS),
    );
  }
}
