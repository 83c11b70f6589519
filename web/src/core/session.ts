/**
 * What a participant knows of the session: `reduce(state, message, now)` gives the next state, and
 * the old one stays as it was. Pure: `now` is milliseconds of clock.ts.
 *
 * Positions and events come in two lanes (docs/reference/protocol.md): a position may come before its
 * participant has been announced, or after the participant left. It is kept, and shown only while
 * the participant is known. The last position of everyone is kept as long as the page lives and they
 * are in the session: freshness.ts says what it is worth.
 */

import type {
  EndReason,
  PositionData,
  PresenceState,
  Report,
  ServerMessage,
  SnapshotData,
} from "./protocol";

export type Role = "host" | "participant";

export interface Member {
  readonly userId: string;
  readonly name: string;
  readonly color: string;
  readonly online: boolean;
  readonly state: PresenceState;
  readonly role: Role;
  /** When they were last known to be there. */
  readonly lastSeen: number;
}

export interface Position {
  readonly lat: number;
  readonly lng: number;
  readonly accuracy: number | null;
  readonly heading: number | null;
  readonly speed: number | null;
  readonly battery: number | null;
  /** When the fix was taken. */
  readonly at: number;
  /** When it was received. */
  readonly heard: number;
}

/** A member as the list and the map show them. */
export interface Person extends Member {
  readonly place: Position | null;
  readonly isMe: boolean;
}

export interface SessionInfo {
  readonly id: string;
  readonly name: string;
  readonly expiresAt: number;
  readonly locked: boolean;
  /** What the join link has after the id; empty while it is the first link. */
  readonly linkKey: string;
}

export interface SessionState {
  /** Null until the first snapshot. */
  readonly session: SessionInfo | null;
  readonly me: { readonly userId: string; readonly role: Role } | null;
  readonly people: ReadonlyMap<string, Member>;
  readonly positions: ReadonlyMap<string, Position>;
  /** Where to resume: the last event that this state includes. */
  readonly epoch: string;
  readonly seq: number;
  readonly ended: EndReason | null;
}

export const EMPTY: SessionState = {
  session: null,
  me: null,
  people: new Map(),
  positions: new Map(),
  epoch: "",
  seq: 0,
  ended: null,
};

/** The state after a message of the server. What is not understood changes nothing. */
export function reduce(state: SessionState, message: ServerMessage, now: number): SessionState {
  if (message.type === "session_state") return snapshot(state, message.data, now);
  if (message.type === "positions") return located(state, message.data, now);
  const next = event(state, message, now);
  const seq = "seq" in message.data ? message.data.seq : undefined;
  return typeof seq === "number" && seq > next.seq ? { ...next, seq } : next;
}

function event(state: SessionState, message: ServerMessage, now: number): SessionState {
  switch (message.type) {
    case "participant_joined": {
      const { user_id: userId, display_name: name, avatar_color: color } = message.data;
      const before = state.people.get(userId);
      const role = before?.role ?? "participant";
      return withMember(state, {
        userId,
        name,
        color,
        role,
        online: before?.online ?? false,
        state: "active",
        lastSeen: now,
      });
    }
    case "participant_updated": {
      const { user_id: userId, online, state: presence, role } = message.data;
      const member = state.people.get(userId);
      if (member === undefined) return state;
      const heard = state.positions.get(userId)?.heard ?? 0;
      const next = withMember(state, {
        ...member,
        online: online ?? member.online,
        state: presence ?? "active",
        role: roleOf(role, member.role),
        lastSeen: online ? now : Math.max(member.lastSeen, heard),
      });
      if (role === undefined || userId !== state.me?.userId) return next;
      return { ...next, me: { userId, role: roleOf(role, state.me.role) } };
    }
    case "participant_left": {
      const people = new Map(state.people);
      const positions = new Map(state.positions);
      people.delete(message.data.user_id);
      positions.delete(message.data.user_id);
      return { ...state, people, positions };
    }
    case "session_updated":
      if (state.session === null || typeof message.data.locked !== "boolean") return state;
      return {
        ...state,
        session: {
          ...state.session,
          locked: message.data.locked,
          linkKey: message.data.link_key ?? state.session.linkKey,
        },
      };
    case "session_ended":
      return { ...state, ended: message.data.reason ?? "expired" };
    default:
      return state;
  }
}

/** The state with this device's own position, which the server does not send back. */
export function locatedMyself(state: SessionState, report: Report, now: number): SessionState {
  if (state.me === null) return state;
  return located(state, [{ ...report, user_id: state.me.userId }], now);
}

/**
 * Everyone: me first, then those who are on the map, then those who are online, then the rest, each by
 * name.
 */
export function everyone(state: SessionState): readonly Person[] {
  const found: Person[] = [];
  state.people.forEach((member) => {
    const place = state.positions.get(member.userId) ?? null;
    const isMe = member.userId === state.me?.userId;
    found.push({ ...member, place, isMe, lastSeen: Math.max(member.lastSeen, place?.heard ?? 0) });
  });
  const rank = (each: Person): number =>
    each.isMe ? 0 : each.online && each.place !== null ? 1 : each.online ? 2 : 3;
  return found.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

function snapshot(before: SessionState, data: SnapshotData, now: number): SessionState {
  // Server times are only ever compared with server times: the clock of a phone may be wrong.
  const serverTime = Date.parse(data.server_time);
  const here = (time: string): number => now - Math.max(0, serverTime - Date.parse(time)) || 0;
  const people = new Map<string, Member>();
  for (const each of data.participants) {
    people.set(each.user_id, {
      userId: each.user_id,
      name: each.display_name,
      color: each.avatar_color,
      online: each.online,
      state: each.state ?? "active",
      role: roleOf(each.role, each.user_id === data.you.user_id ? data.you.role : "participant"),
      lastSeen: here(each.last_seen),
    });
  }
  const positions = new Map<string, Position>();
  if (before.session?.id === data.session.id) {
    before.positions.forEach((place, userId) => {
      if (people.has(userId)) positions.set(userId, place); // the last one that is known
    });
  }
  for (const each of data.positions) positions.set(each.user_id, placeOf(each, now));
  return {
    session: {
      id: data.session.id,
      name: data.session.name,
      expiresAt: now + (Date.parse(data.session.expires_at) - serverTime),
      locked: data.session.locked === true,
      linkKey: data.session.link_key ?? "",
    },
    me: { userId: data.you.user_id, role: roleOf(data.you.role, "participant") },
    people,
    positions,
    epoch: data.epoch ?? "",
    seq: data.seq ?? 0,
    ended: null,
  };
}

function located(state: SessionState, found: readonly PositionData[], now: number): SessionState {
  const positions = new Map(state.positions);
  for (const each of found) {
    if (typeof each.lat !== "number" || typeof each.lng !== "number") continue;
    positions.set(each.user_id, placeOf(each, now));
  }
  return { ...state, positions };
}

function placeOf(data: PositionData, now: number): Position {
  return {
    lat: data.lat,
    lng: data.lng,
    accuracy: data.accuracy ?? null,
    heading: data.heading ?? null,
    speed: data.speed ?? null,
    battery: data.battery ?? null,
    at: now - Math.max(0, data.age_ms ?? 0), // by the age alone: timestamps are of other clocks
    heard: now,
  };
}

const roleOf = (role: string | undefined, otherwise: string): Role =>
  (role ?? otherwise) === "host" ? "host" : "participant";

function withMember(state: SessionState, member: Member): SessionState {
  return { ...state, people: new Map(state.people).set(member.userId, member) };
}
