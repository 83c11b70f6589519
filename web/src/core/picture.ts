/**
 * The last that was known of a group, kept on the device: who reloads without a network sees it as last
 * known. Times are of the clock on the wall, which a reload survives. Pure.
 */

import { EMPTY, type Member, type Position, type Role, type SessionState } from "./session";

export interface Picture {
  readonly session: {
    readonly name: string;
    readonly endsAt: number;
    readonly locked: boolean;
    /** Absent while the join link is the first one. */
    readonly linkKey?: string;
  };
  readonly me: { readonly userId: string; readonly role: Role };
  readonly people: readonly {
    readonly userId: string;
    readonly name: string;
    readonly color: string;
    readonly role: Role;
    readonly seenAt: number;
    readonly place?: {
      readonly lat: number;
      readonly lng: number;
      readonly accuracy: number | null;
      readonly at: number;
    };
  }[];
}

export function pictureOf(state: SessionState, now: number, wall: number): Picture | null {
  const { session, me } = state;
  if (session === null || me === null) return null;
  const onWall = (time: number): number => Math.round(wall - (now - time));
  const { name, locked, linkKey } = session;
  const endsAt = onWall(session.expiresAt);
  return {
    session: linkKey === "" ? { name, endsAt, locked } : { name, endsAt, locked, linkKey },
    me,
    people: Array.from(state.people.values(), (each) => {
      const place = state.positions.get(each.userId);
      const { userId, name, color, role } = each;
      const seenAt = onWall(Math.max(each.lastSeen, place?.heard ?? 0));
      const kept = { userId, name, color, role, seenAt };
      if (place === undefined) return kept;
      const { lat, lng, accuracy } = place;
      return { ...kept, place: { lat, lng, accuracy, at: onWall(place.at) } };
    }),
  };
}

/** The state that a picture shows: everyone is offline. EMPTY for what is no picture. */
export function stateOf(
  id: string,
  picture: Picture | null,
  now: number,
  wall: number,
): SessionState {
  if (!isPicture(picture)) return EMPTY;
  const here = (time: number): number => now - Math.max(0, wall - time);
  const people = new Map<string, Member>();
  const positions = new Map<string, Position>();
  for (const { userId, name, color, role, seenAt, place } of picture.people) {
    const lastSeen = here(seenAt);
    people.set(userId, { userId, name, color, role, lastSeen, online: false, state: "active" });
    if (place === undefined) continue;
    const { lat, lng, accuracy } = place;
    const unknown = { heading: null, speed: null, battery: null };
    positions.set(userId, { lat, lng, accuracy, ...unknown, at: here(place.at), heard: lastSeen });
  }
  const { name, endsAt, locked, linkKey = "" } = picture.session;
  const session = { id, name, locked, linkKey, expiresAt: now + (endsAt - wall) };
  return { ...EMPTY, session, me: picture.me, people, positions };
}

/** What is in a browser's storage may be of another build. */
function isPicture(value: Picture | null): value is Picture {
  const found = value as { session?: { name?: unknown }; me?: unknown; people?: unknown } | null;
  return typeof found?.session?.name === "string" && Boolean(found.me) && isArray(found.people);
}

const isArray = (value: unknown): boolean => Array.isArray(value);
