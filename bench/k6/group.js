// One session and its people, all in one virtual user: who has to get what, and what came of it.

import { Counter, Rate, Trend } from 'k6/metrics';
import { WebSocket } from 'k6/websockets';

import {
  createSession,
  endSession,
  join,
  leave,
  locationUpdate,
  sleep,
  socketParameters,
  socketUrl,
} from './locshare.js';
import { chance, colorOf, nameOf, Walk } from './people.js';

const PATIENCE_MS = 5000; // how long the last deliveries and the last goodbyes are waited for
const CHECK_MS = 20;
const OPEN = 1; // ready states
const CLOSED = 3;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 2000;
const FRESH_MS = 20000; // a position lives 30 s on the server

const deliveryMs = new Trend('delivery_ms', true);
const connectMs = new Trend('connect_ms', true);
const recoveryMs = new Trend('recovery_ms', true);
const lost = new Rate('lost');
const unexpectedDisconnects = new Rate('unexpected_disconnects');
const connectFailed = new Rate('connect_failed');
const joinFailed = new Rate('join_failed');
const sent = new Counter('sent');
const delivered = new Counter('delivered');
const stalePairs = new Counter('stale_pairs');
const foreign = new Counter('foreign');
const recoveries = new Counter('recoveries');
const refusals = new Counter('error_messages');

/**
 * `visitsOf(number, random)` gives the visits of a person; `disrupt(group)` is a task that may break
 * connections until the end of the run.
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
    this.session = await createSession(httpUrl, 'k6');
    joinFailed.add(this.session === null);
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

  /** What was on its way to or from a connection that has ended is not lost. */
  waive(person) {
    person.pending.clear();
    for (const sender of this.people) {
      for (const [key, report] of sender.pending) {
        report.waiting.delete(person);
        if (!report.waiting.size) {
          sender.pending.delete(key);
        }
      }
    }
  }

  async settle() {
    const deadline = Date.now() + PATIENCE_MS;
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
    }
    for (const sender of online) {
      if (sender.newest && now - sender.newest.at < FRESH_MS) {
        const { key } = sender.newest;
        stalePairs.add(online.filter((each) => each !== sender && each.seen.get(sender) !== key).length);
      }
    }
  }
}

/** Somebody with a phone that connects again by itself. */
class Person {
  constructor(group, number, walk, visits) {
    this.group = group;
    this.number = number;
    this.walk = walk;
    this.visits = visits;
    this.offset = group.random() * group.plan.interval * 1000;
    this.online = false; // from the snapshot to the end of the connection
    this.wanted = false; // to be connected
    this.here = true; // until leaving for good
    this.pending = new Map(); // own reports that somebody still has to get
    this.seen = new Map(); // the newest of everybody else
    this.newest = null;
    this.lostAt = null;
    this.failures = 0;
    this.socket = null;
    this.closed = () => {};
  }

  async live() {
    const { group } = this;
    const { httpUrl } = group.plan;
    await sleep(group.at(this.visits[0].arrives) - Date.now());
    const name = nameOf(this.number);
    this.ticket = await join(httpUrl, group.session.session_id, name, colorOf(this.number));
    joinFailed.add(this.ticket === null);
    if (this.ticket === null) {
      return;
    }
    group.byUser.set(this.ticket.user_id, this);
    const reports = this.report();
    for (const visit of this.visits) {
      await sleep(group.at(visit.arrives) - Date.now());
      this.wanted = true;
      this.connect();
      await (visit.leaves === null ? group.over : sleep(group.at(visit.leaves) - Date.now()));
      await this.part(visit === this.visits[this.visits.length - 1]);
    }
    this.here = false;
    await reports;
  }

  /** Report where one is until the end, whenever online; what is late is left out. */
  async report() {
    const { group } = this;
    const interval = group.plan.interval * 1000;
    let due = Date.now() + this.offset;
    while (this.here && due < group.ends) {
      await sleep(due - Date.now());
      const now = Date.now();
      if (this.online && this.socket.readyState === OPEN && now < group.ends) {
        const position = this.walk.report(now);
        group.sending(this, position);
        this.socket.send(locationUpdate(position));
      }
      do {
        due += interval; // at least once: timers may be a little early
      } while (due <= now);
    }
  }

  connect() {
    const began = Date.now();
    const { websocket_url: answered, websocket_token: token } = this.ticket;
    const url = socketUrl(answered, this.group.plan.wsUrl);
    const socket = new WebSocket(url, null, socketParameters(token));
    this.socket = socket;
    let arrived = false;
    socket.addEventListener('message', (event) => {
      const message = JSON.parse(event.data);
      if (message.type === 'location_update') {
        this.group.receiving(this, message.data);
      } else if (message.type === 'session_state') {
        arrived = true;
        this.arrived(began, message.data);
      } else if (message.type === 'error') {
        refusals.add(1, { code: message.data.code });
      }
    });
    socket.addEventListener('error', () => {}); // a close always follows
    socket.addEventListener('close', () => this.ended(arrived));
  }

  arrived(began, snapshot) {
    const now = Date.now();
    connectMs.add(now - began);
    connectFailed.add(false);
    this.failures = 0;
    if (this.lostAt !== null) {
      recoveryMs.add(now - this.lostAt);
      recoveries.add(1);
      this.lostAt = null;
    }
    for (const position of snapshot.positions) {
      const sender = this.group.byUser.get(position.user_id);
      foreign.add(sender ? 0 : 1);
      this.seen.set(sender, keyOf(position));
    }
    this.online = this.wanted;
    if (!this.wanted) {
      this.socket.close();
    }
  }

  /** Break the connection; it comes back at once. */
  drop() {
    if (this.online) {
      this.offline();
      this.lostAt = Date.now();
      this.socket.close();
    }
  }

  /** Close the connection, for good or for a while. Resolves when it is closed. */
  async part(forGood) {
    this.wanted = false;
    this.lostAt = null;
    const { socket } = this;
    this.offline();
    if (socket.readyState === CLOSED) {
      return;
    }
    const gone = new Promise((resolve) => {
      const impatience = setTimeout(resolve, PATIENCE_MS);
      this.closed = () => {
        clearTimeout(impatience); // k6 waits for every timer
        resolve();
      };
    });
    // Only an open one: k6 waits for ever in the close of one that is still connecting.
    if (socket.readyState === OPEN && forGood) {
      socket.send(leave());
    } else if (socket.readyState === OPEN) {
      socket.close();
    }
    await gone;
    if (socket.readyState === OPEN) {
      socket.close();
    }
  }

  ended(arrived) {
    const dropped = this.lostAt !== null;
    if (arrived) {
      const unexpected = this.wanted && !dropped;
      unexpectedDisconnects.add(unexpected);
      if (unexpected) {
        this.offline();
        this.lostAt = Date.now();
      }
    } else {
      connectFailed.add(true);
      this.failures += 1;
    }
    this.closed();
    if (this.wanted) {
      const longest = Math.min(FIRST_RETRY_MS * 2 ** this.failures, LONGEST_RETRY_MS);
      const wait = this.failures ? longest * (0.5 + this.group.random() / 2) : 0;
      sleep(wait).then(() => this.wanted && this.connect());
    }
  }

  offline() {
    if (this.online) {
      this.online = false;
      this.group.waive(this);
    }
  }
}

function keyOf(position) {
  return `${position.lat} ${position.lng}`;
}
