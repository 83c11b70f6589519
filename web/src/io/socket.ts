/**
 * One participant's WebSocket, which reconnects: docs/reference/protocol.md.
 *
 * `onMessage` gets every message of the server; the first after each (re)connection is the snapshot.
 * `onStatus` gets `connecting`, `live` (after the snapshot) or `waiting` (and until when). `onEnd` is
 * called once, with the reason not to reconnect: see backoff.ts. After that, or after `stop()`, no
 * callback is called.
 *
 * A browser hides protocol pings from scripts and may keep a dead connection for minutes. So after
 * silence this sends a ping of the application, and after more silence it reconnects.
 */

import { askedForTime, delayAfter, type StayReason, whyStay } from "../core/backoff";
import { now } from "../core/clock";
import {
  type ClientMessage,
  COMPACT,
  type Dialect,
  dialectOf,
  PLAIN,
  type PresenceState,
  type ServerMessage,
} from "../core/protocol";

/** Until the snapshot. A slow network takes its round trips: what failed once gets longer. */
const OPEN_DEADLINE_MS = 5_000;
const SLOW_DEADLINE_MS = 10_000;
/** An attempt younger than this is not given up for a network that has changed. */
const LEAST_ATTEMPT_MS = 1_000;
/** Silence and the wait for a pong: together the 10 s within which people are told. */
const SILENCE_MS = 6_000;
const ANSWER_MS = 4_000;
const LOST = 1006;

const NEWER: ReadonlySet<ClientMessage["type"]> = new Set(["set_pace", "presence"]);

export type LinkKind = "connecting" | "live" | "waiting";

export interface SocketHandlers {
  onMessage(message: ServerMessage): void;
  /** `until`: of `waiting`, when the next attempt is made. */
  onStatus(kind: LinkKind, until: number): void;
  onEnd(why: StayReason): void;
  /** The events that this client has, for `resume`; null without a snapshot. */
  position(): { readonly epoch: string; readonly seq: number } | null;
}

export class Socket {
  private readonly url: string;
  private readonly token: string;
  private readonly handlers: SocketHandlers;
  private socket: WebSocket | null = null;
  private dialect: Dialect | null = null;
  private attempt = 0;
  private isLive = false;
  private stopped = false;
  private mayHurry = true;
  private startedAt = 0;
  private retry = 0; // timers
  private silence = 0;
  private interval_s = 0;
  private presence: PresenceState = "active";
  /** What the server knows of these two. */
  private told = { interval_s: 0, presence: "active" };
  /** The server does not know what NEWER lists: each more of it would count as a bad message. */
  private isOlder = false;

  constructor(url: string, token: string, handlers: SocketHandlers) {
    this.url = url;
    this.token = token;
    this.handlers = handlers;
  }

  get live(): boolean {
    return this.isLive;
  }

  /** Connect. Errors are reported by `onStatus` and `onEnd`. */
  start(): void {
    window.clearTimeout(this.retry);
    this.handlers.onStatus("connecting", 0);
    let socket: WebSocket;
    try {
      const offered = [COMPACT, PLAIN, `locshare.bearer.${this.token}`];
      socket = new WebSocket(this.address(), offered);
    } catch {
      this.end("failed"); // not a URL that this page may use: ws:// from an https page
      return;
    }
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.startedAt = now();
    this.expect(this.attempt === 0 ? OPEN_DEADLINE_MS : SLOW_DEADLINE_MS);
    socket.onmessage = ({ data }) => this.heard(data);
    socket.onclose = ({ code }) => this.lost(code);
  }

  /** Send a message; false when there is no connection to send it on. */
  send(message: ClientMessage): boolean {
    const { socket, dialect } = this;
    if (!this.isLive || socket === null || dialect === null) return false;
    if (socket.readyState !== WebSocket.OPEN) return false;
    if (this.isOlder && NEWER.has(message.type)) return true; // and nobody misses it
    socket.send(dialect.encode(message));
    return true;
  }

  /** How often this client wants positions: 0 is as they come, more while nobody looks. */
  setPace(interval_s: number): void {
    this.interval_s = interval_s;
    this.tell();
  }

  /** What the others are shown of this client. */
  setPresence(state: PresenceState): void {
    this.presence = state;
    this.tell();
  }

  /** Say what has changed since the connection was asked for; the next one says it in its address. */
  private tell(): void {
    const { interval_s, presence: state, told } = this;
    if (interval_s !== told.interval_s && this.send({ type: "set_pace", data: { interval_s } })) {
      told.interval_s = interval_s;
    }
    if (state !== told.presence && this.send({ type: "presence", data: { state } })) {
      told.presence = state;
    }
  }

  /** The network may be back, or this device may have slept: check the connection now. */
  probe(): void {
    if (this.stopped) return;
    if (this.socket === null) {
      if (this.mayHurry) this.start();
    } else if (this.send({ type: "ping" })) this.expect(ANSWER_MS);
    else if (!this.isLive && now() - this.startedAt >= LEAST_ATTEMPT_MS) {
      // It may have set out into the network of before.
      this.release();
      this.start();
    }
  }

  /** The network is gone: a socket that still seems open would only delay what comes next. */
  drop(): void {
    if (!this.stopped && this.socket !== null) this.lost(LOST);
  }

  /** Close it for good. */
  stop(): void {
    this.stopped = true;
    this.release();
    window.clearTimeout(this.retry);
  }

  private address(): string {
    const query: string[] = [];
    const position = this.handlers.position();
    if (position !== null) {
      query.push(`resume=${encodeURIComponent(`${position.epoch}.${position.seq}`)}`);
    }
    const { interval_s, presence } = this;
    if (interval_s > 0) query.push(`pace=${interval_s}`);
    if (presence !== "active") query.push(`presence=${presence}`);
    this.told = { interval_s, presence };
    return query.length === 0 ? this.url : `${this.url}?${query.join("&")}`;
  }

  private heard(frame: string | ArrayBuffer): void {
    this.dialect ??= dialectOf(this.socket?.protocol ?? "");
    this.watchSilence();
    for (const message of this.dialect.decode(frame)) {
      const isSnapshot = message.type === "session_state";
      if (isSnapshot) {
        this.isLive = true;
        this.attempt = 0;
      }
      if (message.type === "error" && message.data.code === "UNKNOWN_TYPE") this.isOlder = true;
      this.handlers.onMessage(message);
      if (isSnapshot && this.isLive) {
        this.tell();
        this.handlers.onStatus("live", 0);
      }
      if (this.stopped) return;
    }
  }

  private watchSilence(): void {
    window.clearTimeout(this.silence);
    this.silence = window.setTimeout(() => this.probe(), SILENCE_MS + this.interval_s * 1000);
  }

  private expect(ms: number): void {
    window.clearTimeout(this.silence);
    this.silence = window.setTimeout(() => this.lost(LOST), ms);
  }

  private lost(code: number): void {
    this.release();
    const why = whyStay(code);
    if (why !== null) {
      this.end(why);
      return;
    }
    this.mayHurry = !askedForTime(code);
    const wait = delayAfter(code, this.attempt, Math.random);
    this.attempt += 1;
    this.retry = window.setTimeout(() => this.start(), wait);
    this.handlers.onStatus("waiting", now() + wait);
  }

  private release(): void {
    window.clearTimeout(this.silence);
    this.isLive = false;
    this.dialect = null;
    const { socket } = this;
    this.socket = null;
    if (socket === null) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  private end(why: StayReason): void {
    this.stop();
    this.handlers.onEnd(why);
  }
}
