/**
 * One participant's WebSocket, which reconnects: docs/reference/protocol.md.
 *
 * `onMessage` gets every message of the server, parsed; the first after each (re)connection is the
 * snapshot. `onStatus` gets `connecting`, `live` (after the snapshot) or `waiting` (and until when).
 * `onEnd` is called once, with the reason not to reconnect: see backoff.js. After that, or after
 * `stop()`, no callback is called.
 *
 * A browser hides protocol pings from scripts and may keep a dead connection for minutes. So after
 * silence this sends a ping of the application, and after more silence it reconnects.
 */

import { askedForTime, delayAfter, whyStay } from "./backoff.js";
import { now as clock } from "./clock.js";

const OPEN_DEADLINE_MS = 15_000;
const SILENCE_MS = 25_000;
const ANSWER_MS = 8_000;
const LOST = 1006;

export class Connection {
  #url;
  #protocols;
  #handlers;
  #socket = null;
  #attempt = 0;
  #live = false;
  #stopped = false;
  #mayHurry = true;
  #retry = 0; // timers
  #silence = 0;

  constructor(url, token, { onMessage, onStatus, onEnd }) {
    this.#url = url;
    this.#protocols = ["locshare.v1", `locshare.bearer.${token}`];
    this.#handlers = { onMessage, onStatus, onEnd };
  }

  get live() {
    return this.#live;
  }

  /** Connect. Errors are reported by `onStatus` and `onEnd`. */
  start() {
    clearTimeout(this.#retry);
    this.#handlers.onStatus("connecting", 0);
    let socket;
    try {
      socket = new WebSocket(this.#url, this.#protocols);
    } catch {
      this.#end("failed"); // not a URL that this page may use: ws:// from an https page
      return;
    }
    this.#socket = socket;
    this.#expect(OPEN_DEADLINE_MS);
    socket.onmessage = ({ data }) => this.#heard(data);
    socket.onclose = ({ code }) => this.#lost(code);
  }

  /** Send a message; false when there is no connection to send it on. */
  send(type, data = {}) {
    if (!this.#live || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify({ type, data }));
    return true;
  }

  /** The network may be back, or this tab may have slept: check the connection now. */
  probe() {
    if (this.#stopped) return;
    if (this.#socket === null) {
      if (this.#mayHurry) this.start();
    } else if (this.send("ping")) this.#expect(ANSWER_MS);
  }

  /** Close it for good. */
  stop() {
    this.#stopped = true;
    this.#drop();
    clearTimeout(this.#retry);
  }

  #heard(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    this.#watchSilence();
    if (message.type === "session_state") {
      this.#live = true;
      this.#attempt = 0;
    }
    this.#handlers.onMessage(message);
    if (message.type === "session_state" && this.#live) this.#handlers.onStatus("live", 0);
  }

  #watchSilence() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.probe(), SILENCE_MS);
  }

  #expect(ms) {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#lost(LOST), ms);
  }

  #lost(code) {
    this.#drop();
    const why = whyStay(code);
    if (why !== null) {
      this.#end(why);
      return;
    }
    this.#mayHurry = !askedForTime(code);
    const wait = delayAfter(code, this.#attempt);
    this.#attempt += 1;
    this.#retry = setTimeout(() => this.start(), wait);
    this.#handlers.onStatus("waiting", clock() + wait);
  }

  #drop() {
    clearTimeout(this.#silence);
    this.#live = false;
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #end(why) {
    this.stop();
    this.#handlers.onEnd(why);
  }
}
