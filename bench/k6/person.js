// Somebody with a phone, who joins a session, reports where they are, and connects again by
// themselves. What is sent and received is told to the group, which keeps the account.

import { Counter, Rate, Trend } from "k6/metrics";
import { WebSocket } from "k6/websockets";

import { join, leave, locationUpdate, sleep, socketParameters, socketUrl } from "./locshare.js";
import { colorOf, nameOf } from "./people.js";

const OPEN = 1; // ready states
const CLOSED = 3;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 2000;

const connectMs = new Trend("connect_ms", true);
const recoveryMs = new Trend("recovery_ms", true);
const unexpectedDisconnects = new Rate("unexpected_disconnects");
const connectFailed = new Rate("connect_failed");
const joinFailed = new Rate("join_failed");
const recoveries = new Counter("recoveries");
const errorMessages = new Counter("error_messages");

export class Person {
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
    socket.addEventListener("message", (event) => {
      const message = JSON.parse(event.data);
      if (message.type === "location_update") {
        this.group.receiving(this, message.data);
      } else if (message.type === "session_state") {
        arrived = true;
        this.arrived(began, message.data);
      } else if (message.type === "error") {
        errorMessages.add(1, { code: message.data.code });
      }
    });
    socket.addEventListener("error", () => {}); // a close always follows
    socket.addEventListener("close", () => this.ended(arrived));
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
    this.group.catchingUp(this, snapshot.positions);
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
      const impatience = setTimeout(resolve, this.group.plan.patience * 1000);
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
