/**
 * What a participant knows of the session: `reduce(state, message, now)` gives the next state, and
 * the old one stays as it was. Pure: `now` is milliseconds of clock.js.
 *
 * Positions and events come in two lanes (docs/reference/protocol.md): a position may come
 * before its participant has been announced, or after the participant left. It is kept, and shown only
 * while the participant is known. No position is kept longer than the retention.
 */

/** For how long a position is kept without a new message of it, however old its fix is. */
export const RETENTION_MS = 30_000;
/** Up to this age of its fix it counts as live; then it fades. */
export const FRESH_MS = 20_000;

export const EMPTY = Object.freeze({
  session: null, // {id, name, expiresAt, locked} as soon as a snapshot came
  me: null, // {userId, role}
  people: new Map(), // user_id → {userId, name, color, online, lastSeen}
  positions: new Map(), // user_id → {lat, lng, accuracy, heading, speed, at, heard}: when the fix
  // was taken, and when it was heard of; null where something is unknown
  ended: null, // the reason, once it has
});

/** The state after a message of the server. What is not understood changes nothing. */
export function reduce(state, message, now) {
  const data = message?.data ?? {};
  switch (message?.type) {
    case "session_state":
      return snapshot(data, now);
    case "location_update":
      return located(state, data.user_id, data, now);
    case "participant_joined":
      return withPerson(state, data.user_id, {
        userId: data.user_id,
        name: data.display_name,
        color: data.avatar_color,
        online: false,
        lastSeen: now,
      });
    case "participant_updated": {
      const person = state.people.get(data.user_id);
      if (person === undefined) return state;
      const lastSeen = data.online ? now : Math.max(person.lastSeen, lastPosition(state, data));
      return withPerson(state, data.user_id, { ...person, online: data.online, lastSeen });
    }
    case "participant_left":
      return without(state, data.user_id);
    case "session_updated":
      if (state.session === null || typeof data.locked !== "boolean") return state;
      return { ...state, session: { ...state.session, locked: data.locked } };
    case "session_ended":
      return { ...state, ended: data.reason ?? "expired" };
    default:
      return state;
  }
}

/** The state with this tab's own position, which the server does not send back. */
export function locatedMyself(state, place, now) {
  return state.me === null ? state : located(state, state.me.userId, place, now);
}

/** The state without expired positions; the same object when there are none. */
export function expire(state, now) {
  const positions = new Map(state.positions);
  for (const [userId, { heard }] of positions) {
    if (now - heard >= RETENTION_MS) positions.delete(userId);
  }
  return positions.size === state.positions.size ? state : { ...state, positions };
}

/**
 * Everyone, as the list and the map show them: me first, then who is on the map, then who is online,
 * then the rest, each by name.
 */
export function everyone(state) {
  const found = [];
  for (const person of state.people.values()) {
    const place = state.positions.get(person.userId) ?? null;
    found.push({
      ...person,
      place,
      isMe: person.userId === state.me?.userId,
      lastSeen: Math.max(person.lastSeen, place?.heard ?? 0),
    });
  }
  const rank = (each) => (each.isMe ? 0 : each.place !== null ? 1 : each.online ? 2 : 3);
  return found.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

function snapshot(data, now) {
  // Server times are only ever compared with server times: the clock of a phone may be wrong.
  const serverTime = Date.parse(data.server_time);
  const here = (time) => now - Math.max(0, serverTime - Date.parse(time)) || 0;
  const people = new Map();
  for (const each of data.participants) {
    people.set(each.user_id, {
      userId: each.user_id,
      name: each.display_name,
      color: each.avatar_color,
      online: each.online,
      lastSeen: here(each.last_seen),
    });
  }
  const positions = new Map();
  for (const each of data.positions) {
    // A snapshot does not say when a position arrived. It is not above the retention, and not
    // newer than the last sign of its sender.
    const seen = people.get(each.user_id)?.lastSeen ?? now;
    positions.set(each.user_id, placeOf(each, now, Math.max(seen, now - RETENTION_MS + 1)));
  }
  return {
    session: {
      id: data.session.id,
      name: data.session.name,
      expiresAt: now + (Date.parse(data.session.expires_at) - serverTime),
      locked: data.session.locked === true,
    },
    me: { userId: data.you.user_id, role: data.you.role },
    people,
    positions,
    ended: null,
  };
}

function located(state, userId, data, now) {
  if (typeof data.lat !== "number" || typeof data.lng !== "number") return state;
  const positions = new Map(state.positions);
  positions.set(userId, placeOf(data, now, now));
  return { ...state, positions };
}

function placeOf({ lat, lng, accuracy, heading, speed, age_ms: age }, now, heard) {
  const at = now - (age > 0 ? age : 0); // by the age alone: timestamps are of other clocks
  const known = (value) => value ?? null;
  return {
    lat, lng, at, heard, accuracy: known(accuracy), heading: known(heading), speed: known(speed),
  };
}

function lastPosition(state, data) {
  return state.positions.get(data.user_id)?.heard ?? 0;
}

function withPerson(state, userId, person) {
  return { ...state, people: new Map(state.people).set(userId, person) };
}

function without(state, userId) {
  const people = new Map(state.people);
  const positions = new Map(state.positions);
  people.delete(userId);
  positions.delete(userId);
  return { ...state, people, positions };
}
