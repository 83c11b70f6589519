/**
 * One session that this device is in: its connection, and what is known of it as signals. It lives as
 * long as the device stays in the session, whether the session is the one on the screen or not.
 */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { StayReason } from "../core/backoff";
import { blurred } from "../core/blur";
import { now } from "../core/clock";
import { type Fix, report } from "../core/fix";
import { type Happening, happenings } from "../core/happenings";
import type { Link as JoinLink } from "../core/link";
import type { PresenceState, ServerMessage } from "../core/protocol";
import { SendSchedule } from "../core/rate";
import {
  EMPTY,
  everyone,
  locatedMyself,
  type Person,
  reduce,
  type SessionState,
} from "../core/session";
import { type LinkKind, Socket } from "../io/socket";
import type { Membership } from "../io/storage";

export interface Link {
  readonly kind: LinkKind;
  /** Since when it has been live, or has not. */
  readonly since: number;
  /** Of `waiting`: when the next attempt is made. */
  readonly until: number;
}

export interface SessionEvents {
  onHappening(model: SessionModel, happening: Happening): void;
  onEnd(model: SessionModel, why: StayReason): void;
}

/** However many messages a flush of the server brings, they are shown once. */
const GATHER_MS = 30;
/** How often a page that nobody sees wants positions. */
const HIDDEN_PACE_S = 30;

export class SessionModel {
  readonly id: string;
  readonly membership: Membership;
  readonly state: Signal<SessionState> = signal(EMPTY);
  readonly link: Signal<Link>;
  readonly people: ReadonlySignal<readonly Person[]>;
  /** This device's fix as it is, even if the others get it blurred, or not at all. */
  readonly own: Signal<Fix | null> = signal(null);
  /** By the role, or by the host's token that this device has. */
  readonly isHost: ReadonlySignal<boolean>;
  readonly hasHostToken: Signal<boolean>;
  /** Whether the others get this device's positions, unless it is paused. */
  readonly shares: Signal<boolean>;
  /** Of the join link that the session has now. */
  readonly linkKey: ReadonlySignal<string>;
  /** Who is there, without where: changes with people, not with each of their steps. */
  readonly roster: ReadonlySignal<SessionState["people"]>;

  private readonly socket: Socket;
  private readonly schedule = new SendSchedule();
  private readonly events: SessionEvents;
  private latest: SessionState;
  private gathering = 0; // timers
  private sending = 0;
  private presence: PresenceState = "active";
  private isBlurred = false;

  /** `last` is what is to be shown until the server has said how it is. */
  constructor(
    id: string,
    membership: Membership,
    events: SessionEvents,
    last: SessionState = EMPTY,
    hasHostToken = false,
    linkKey = "",
  ) {
    this.id = id;
    this.membership = membership;
    this.events = events;
    this.latest = this.state.value = last;
    this.hasHostToken = signal(hasHostToken);
    this.shares = signal(membership.shares === true);
    this.roster = computed(() => this.state.value.people);
    this.linkKey = computed(() => this.state.value.session?.linkKey ?? linkKey);
    this.link = signal({ kind: "connecting", since: now(), until: 0 });
    this.people = computed(() => everyone(this.state.value));
    this.isHost = computed(() => this.hasHostToken.value || this.state.value.me?.role === "host");
    this.socket = new Socket(membership.url, membership.token, {
      onMessage: (message) => this.heard(message),
      onStatus: (kind, until) => this.linked(kind, until),
      onEnd: (why) => {
        this.stop();
        this.events.onEnd(this, why);
      },
      position: () => {
        const { epoch, seq } = this.latest;
        return epoch === "" ? null : { epoch, seq };
      },
    });
  }

  /** What is shared: the join link that the session has now. */
  get joinLink(): JoinLink {
    return { id: this.id, key: this.linkKey.value };
  }

  start(): void {
    this.socket.start();
  }

  stop(): void {
    this.socket.stop();
    window.clearTimeout(this.gathering);
    window.clearTimeout(this.sending);
    this.state.value = this.latest;
  }

  /** Leave for good: the server answers by closing. False when there is no connection. */
  leave(): boolean {
    return this.socket.send({ type: "leave" });
  }

  /** The connection may be dead: check it now. */
  probe(): void {
    this.socket.probe();
  }

  drop(): void {
    this.socket.drop();
  }

  /** Another connection at once: its snapshot says when what happened, and how much time is left. */
  renew(): void {
    this.socket.drop();
    this.socket.probe();
  }

  /** The answer to a call that replaced `before`, unless an event has said what came of it. */
  setLinkKey(answered: string, before: string): void {
    const { session } = this.latest;
    if (session === null) return;
    const linkKey = session.linkKey === before ? answered : session.linkKey;
    this.update({ ...this.latest, session: { ...session, linkKey } }, true);
  }

  /** What the others are shown; `isHidden`: nobody looks at this page, also while it is paused. */
  setPresence(state: PresenceState, isHidden: boolean): void {
    this.socket.setPace(isHidden ? HIDDEN_PACE_S : 0);
    this.socket.setPresence(state);
    if (state === this.presence) return;
    const wasPaused = this.presence === "paused";
    this.presence = state;
    if (state === "paused") this.schedule.withdraw();
    const own = this.own.peek();
    if (wasPaused && own !== null) this.located(own);
  }

  /** What the others get: this device's positions, roughly or exactly, or none. */
  setSharing(shares: boolean, isBlurred: boolean): void {
    const begins = shares && !this.shares.peek();
    const changes = shares && this.isBlurred !== isBlurred;
    this.shares.value = shares;
    this.isBlurred = isBlurred;
    if (!shares) this.schedule.withdraw();
    const own = this.own.peek();
    if ((begins || changes) && own !== null) {
      if (changes) this.schedule.restart();
      this.located(own);
    }
  }

  /** A fix of this device. */
  located(fix: Fix): void {
    this.own.value = fix;
    if (!this.shares.peek() || this.presence === "paused") return;
    this.schedule.offer(fix);
    this.update(locatedMyself(this.latest, report(fix, now()), now()));
    this.pump();
  }

  private heard(message: ServerMessage): void {
    const before = this.latest;
    const news = happenings(before, message);
    this.update(reduce(before, message, now()), message.type === "session_state");
    if (message.type === "session_state") this.connected();
    else if (message.type === "pace") {
      this.schedule.request(message.data);
      this.pump();
    }
    for (const each of news) this.events.onHappening(this, each);
  }

  /** There is a new connection: it gets the newest position first. */
  private connected(): void {
    const own = this.schedule.newest;
    // The snapshot does not have it, and the first one names this participant.
    if (own !== null) this.update(locatedMyself(this.latest, report(own, now()), now()), true);
    this.schedule.restart();
    this.pump();
  }

  private pump(): void {
    window.clearTimeout(this.sending);
    const { newest } = this.schedule;
    if (newest === null || !this.socket.live) return;
    if (this.schedule.wait(now()) === 0) {
      const data = report(newest, now());
      const sent = {
        type: "location_update",
        data: this.isBlurred ? blurred(data) : data,
      } as const;
      if (!this.socket.send(sent)) return; // until there is a connection again
      this.schedule.take(now());
    }
    const wait = this.schedule.wait(now());
    if (wait !== Number.POSITIVE_INFINITY) {
      this.sending = window.setTimeout(() => this.pump(), wait + 5);
    }
  }

  private update(state: SessionState, atOnce = false): void {
    if (state === this.latest) return;
    this.latest = state;
    if (atOnce) {
      window.clearTimeout(this.gathering);
      this.gathering = 0;
      this.state.value = state;
    } else if (this.gathering === 0) {
      this.gathering = window.setTimeout(() => {
        this.gathering = 0;
        this.state.value = this.latest;
      }, GATHER_MS);
    }
  }

  private linked(kind: LinkKind, until: number): void {
    const before = this.link.value;
    const turned = (kind === "live") !== (before.kind === "live");
    this.link.value = { kind, until, since: turned ? now() : before.since };
  }
}
