// One session and its people, all in one virtual user: who has to get what, and what came of it.

import { Counter, Rate, Trend } from "k6/metrics";

import { createSession, endSession, sleep } from "./locshare.js";
import { chance, Walk } from "./people.js";
import { Person } from "./person.js";

const CHECK_MS = 20;
const FRESH_MS = 20000; // a position lives 30 s on the server

const deliveryMs = new Trend("delivery_ms", true);
const lost = new Rate("lost");
const createFailed = new Rate("create_failed");
const sent = new Counter("sent");
const delivered = new Counter("delivered");
const stalePairs = new Counter("stale_pairs");
const foreign = new Counter("foreign");

/**
 * `visitsOf(number, random)` gives the visits of a person; `disrupt(group)` is a task that may
 * break connections until the end of the run.
 */
export class Group {
  constructor(plan, number, { visitsOf, disrupt = async () => {} }) {
    this.plan = plan;
    this.random = chance(plan.seed * 1000003 + number);
    this.disrupt = disrupt;
    this.byUser = new Map();
    this.over = new Promise((resolve) => {
      this.finish = resolve;
    });
    this.people = [];
    for (let each = 0; each < plan.size; each += 1) {
      const walk = new Walk(number, each, this.random);
      this.people.push(new Person(this, each, walk, visitsOf(each, this.random)));
    }
  }

  async run() {
    const { httpUrl, duration } = this.plan;
    this.session = await createSession(httpUrl, "k6");
    createFailed.add(this.session === null);
    if (this.session === null) {
      return;
    }
    this.began = Date.now();
    this.ends = this.at(duration);
    const lives = this.people.map((person) => person.live());
    const disruption = this.disrupt(this);
    await sleep(this.ends - Date.now());
    await this.settle();
    this.account();
    this.finish();
    await Promise.all([disruption, ...lives]);
    await endSession(httpUrl, this.session.session_id, this.session.host_token);
  }

  /** So many seconds after the beginning, as a moment. */
  at(seconds) {
    return this.began + seconds * 1000;
  }

  /** A report goes out: everybody else who is online now has to get it. */
  sending(sender, position) {
    const waiting = new Set(this.people.filter((each) => each.online && each !== sender));
    sent.add(1);
    sender.newest = { key: keyOf(position), at: Date.now() };
    if (waiting.size) {
      sender.pending.set(sender.newest.key, { at: sender.newest.at, waiting });
    }
  }

  /** A report has come in. */
  receiving(receiver, data) {
    const sender = this.byUser.get(data.user_id);
    if (!sender) {
      foreign.add(1);
      return;
    }
    const key = keyOf(data);
    receiver.seen.set(sender, key);
    const report = sender.pending.get(key);
    if (report && report.waiting.delete(receiver)) {
      deliveryMs.add(Date.now() - report.at);
      delivered.add(1);
      lost.add(false);
      if (!report.waiting.size) {
        sender.pending.delete(key);
      }
    }
  }

  /** A snapshot has come in: the newest that there is of everybody. */
  catchingUp(receiver, positions) {
    for (const position of positions) {
      const sender = this.byUser.get(position.user_id);
      foreign.add(sender ? 0 : 1);
      receiver.seen.set(sender, keyOf(position));
    }
  }

  /**
   * What was on its way to or from a connection that has ended is not lost; what had not come within
   * the patience of the plan was lost before.
   */
  waive(person) {
    const earliest = Date.now() - this.plan.patience * 1000;
    const end = (report, receiver) => {
      if (report.waiting.delete(receiver) && report.at < earliest) {
        lost.add(true);
      }
    };
    for (const report of person.pending.values()) {
      report.waiting.forEach((receiver) => end(report, receiver));
    }
    person.pending.clear();
    for (const sender of this.people) {
      for (const [key, report] of sender.pending) {
        end(report, person);
        if (!report.waiting.size) {
          sender.pending.delete(key);
        }
      }
    }
  }

  async settle() {
    const deadline = Date.now() + this.plan.patience * 1000;
    while (Date.now() < deadline && this.people.some((person) => person.pending.size)) {
      await sleep(CHECK_MS);
    }
  }

  account() {
    const now = Date.now();
    const online = this.people.filter((person) => person.online);
    for (const sender of this.people) {
      for (const report of sender.pending.values()) {
        report.waiting.forEach(() => lost.add(true));
      }
      sender.pending.clear(); // all of them end their connections now
    }
    for (const sender of online) {
      if (sender.newest && now - sender.newest.at < FRESH_MS) {
        const { key } = sender.newest;
        const stale = online.filter((each) => each !== sender && each.seen.get(sender) !== key);
        stalePairs.add(stale.length);
      }
    }
  }
}

/** By its place a report is known again: a person reports no place twice. */
function keyOf(position) {
  return `${position.lat} ${position.lng}`;
}
