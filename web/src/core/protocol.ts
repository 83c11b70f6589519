/**
 * The messages of docs/reference/protocol.md in both dialects, as one form. Pure.
 *
 * A decoder turns a frame into messages, and anything that is not one into none: a newer server may
 * send more. All positions of a flush are one message.
 */

import { decode, encode } from "@msgpack/msgpack";

export interface Report {
  readonly lat: number;
  readonly lng: number;
  /** RFC 3339: when the device took the fix, by its own clock. */
  readonly timestamp: string;
  readonly accuracy?: number;
  readonly altitude?: number;
  readonly speed?: number;
  readonly heading?: number;
  readonly battery?: number;
  readonly age_ms?: number;
}

export type PresenceState = "active" | "paused" | "hidden";

export interface PositionData {
  readonly user_id: string;
  readonly lat: number;
  readonly lng: number;
  readonly accuracy?: number | null;
  readonly altitude?: number | null;
  readonly speed?: number | null;
  readonly heading?: number | null;
  readonly battery?: number | null;
  readonly age_ms?: number | null;
}

export interface ParticipantData {
  readonly user_id: string;
  readonly display_name: string;
  readonly avatar_color: string;
  readonly last_seen: string;
  readonly online: boolean;
  readonly state?: PresenceState;
  readonly role?: string;
}

export interface SnapshotData {
  readonly session: {
    readonly id: string;
    readonly name: string;
    readonly expires_at: string;
    readonly locked?: boolean;
  };
  readonly you: { readonly user_id: string; readonly role: string };
  readonly participants: readonly ParticipantData[];
  readonly positions: readonly PositionData[];
  readonly server_time: string;
  readonly epoch: string;
  readonly seq: number;
  readonly resumed?: boolean;
  readonly missed?: readonly ServerMessage[];
  readonly features?: { readonly [name: string]: unknown };
}

interface Seq {
  /** The number of this event in its session, where the server sends it. */
  readonly seq?: number;
}

export type EndReason = "expired" | "ended_by_host" | "inactive" | "internal_error";

export type ServerMessage =
  | { readonly type: "session_state"; readonly data: SnapshotData }
  | { readonly type: "positions"; readonly data: readonly PositionData[] }
  | {
      readonly type: "participant_joined";
      readonly data: Seq & {
        readonly user_id: string;
        readonly display_name: string;
        readonly avatar_color: string;
      };
    }
  | {
      readonly type: "participant_updated";
      readonly data: Seq & {
        readonly user_id: string;
        readonly online?: boolean;
        readonly state?: PresenceState;
        readonly role?: string;
      };
    }
  | {
      readonly type: "participant_left";
      readonly data: Seq & { readonly user_id: string; readonly reason: "left" | "removed" };
    }
  | { readonly type: "session_updated"; readonly data: Seq & { readonly locked: boolean } }
  | { readonly type: "session_ended"; readonly data: Seq & { readonly reason: EndReason } }
  | { readonly type: "pong"; readonly data: object }
  | {
      readonly type: "pace";
      readonly data: { readonly interval_s: number; readonly min_distance_m: number };
    }
  | {
      readonly type: "error";
      readonly data: { readonly code: string; readonly message: string };
    };

export type ClientMessage =
  | { readonly type: "location_update"; readonly data: Report }
  | { readonly type: "ping" | "leave" }
  | { readonly type: "set_pace"; readonly data: { readonly interval_s: number } }
  | { readonly type: "presence"; readonly data: { readonly state: PresenceState } };

/** One connection's dialect: a decoder has what the snapshot of its connection announced. */
export interface Dialect {
  readonly subprotocol: string;
  decode(frame: string | ArrayBuffer): readonly ServerMessage[];
  encode(message: ClientMessage): string | Uint8Array<ArrayBuffer>;
}

// --- plain ------------------------------------------------------------------------------------

export const PLAIN = "locshare.v1";
export const COMPACT = "locshare.v1.compact";

type Raw = { readonly type?: unknown; readonly data?: unknown } | null;

export class PlainDialect implements Dialect {
  readonly subprotocol = PLAIN;

  decode(frame: string | ArrayBuffer): readonly ServerMessage[] {
    if (typeof frame !== "string") return [];
    let raw: Raw;
    try {
      raw = JSON.parse(frame);
    } catch {
      return [];
    }
    if (typeof raw !== "object" || raw === null || typeof raw.type !== "string") return [];
    return known(raw.type, raw.data);
  }

  encode(message: ClientMessage): string {
    return JSON.stringify({ type: message.type, data: "data" in message ? message.data : {} });
  }
}

/** The messages of a `type` and its `data`; none when this client does not know them. */
function known(type: string, data: unknown): readonly ServerMessage[] {
  if (typeof data !== "object" || data === null) data = {};
  switch (type) {
    case "location_update":
      return [{ type: "positions", data: [data as PositionData] }];
    case "session_state": {
      const snapshot = data as SnapshotData;
      const missed = snapshot.missed as unknown as readonly Raw[] | undefined;
      if (!Array.isArray(missed)) return [{ type, data: snapshot }];
      const events: ServerMessage[] = [];
      for (const each of missed) {
        if (typeof each?.type === "string") events.push(...known(each.type, each.data));
      }
      return [{ type, data: { ...snapshot, missed: events } }];
    }
    case "participant_joined":
    case "participant_updated":
    case "participant_left":
    case "session_updated":
    case "session_ended":
    case "pong":
    case "pace":
    case "error":
      return [{ type, data } as ServerMessage];
    default:
      return [];
  }
}

// --- compact ----------------------------------------------------------------------------------

/** The numbers of the server's types. */
const TYPES: readonly string[] = [
  "session_state",
  "location_update",
  "ping",
  "leave",
  "pong",
  "error",
  "participant_joined",
  "participant_updated",
  "participant_left",
  "session_updated",
  "session_ended",
  "set_pace",
  "pace",
];
const STATES: readonly PresenceState[] = ["active", "paused", "hidden"];
const NUMBERS = { location_update: 1, ping: 2, leave: 3, set_pace: 11, presence: 13 } as const;
const DEGREE = 1e7;

type Row = readonly (number | null | undefined)[];
interface Numbered {
  readonly number: number;
  readonly user_id: string;
}

export class CompactDialect implements Dialect {
  readonly subprotocol = COMPACT;
  private readonly users = new Map<number, string>();
  private me = "";

  decode(frame: string | ArrayBuffer): readonly ServerMessage[] {
    if (typeof frame === "string") return [];
    let raw: unknown;
    try {
      raw = decode(new Uint8Array(frame));
    } catch {
      return [];
    }
    if (!Array.isArray(raw)) return [];
    return this.read(raw[0], raw[1]);
  }

  private read(kind: unknown, data: unknown): readonly ServerMessage[] {
    const type = TYPES[kind as number];
    if (type === undefined) return [];
    if (type === "location_update") {
      return [{ type: "positions", data: this.positions(data) }];
    }
    if (type === "session_state") return this.snapshot(data);
    if (type === "participant_joined") this.announce(data as Numbered);
    return known(type, data);
  }

  private snapshot(data: unknown): readonly ServerMessage[] {
    const raw = data as {
      you: SnapshotData["you"];
      participants: readonly (Numbered & ParticipantData)[];
      positions: unknown;
      missed?: readonly (readonly [number, unknown])[];
    };
    this.users.clear();
    for (const each of raw.participants) this.announce(each);
    this.me = raw.you.user_id;
    const snapshot: Record<string, unknown> = { ...raw, positions: this.positions(raw.positions) };
    if (raw.missed !== undefined) {
      const events: ServerMessage[] = [];
      for (const [kind, each] of raw.missed) {
        // Their numbers may be of people who have left: the snapshot alone announces.
        const type = TYPES[kind];
        if (type !== undefined) events.push(...known(type, each));
      }
      snapshot["missed"] = events;
    }
    return [{ type: "session_state", data: snapshot as unknown as SnapshotData }];
  }

  private announce({ number, user_id }: Numbered): void {
    this.users.set(number, user_id);
  }

  /** All but the own one, which the server sends to everyone alike. */
  private positions(rows: unknown): readonly PositionData[] {
    if (!Array.isArray(rows)) return [];
    const found: PositionData[] = [];
    for (const row of rows as readonly Row[]) {
      const user = this.users.get(row[0] as number);
      const [, lat, lng, , accuracy, age, speed, heading, altitude, battery] = row;
      if (user === undefined || user === this.me) continue;
      if (typeof lat !== "number" || typeof lng !== "number") continue;
      found.push({
        user_id: user,
        lat: lat / DEGREE,
        lng: lng / DEGREE,
        accuracy: accuracy ?? null,
        age_ms: age ?? null,
        speed: scaled(speed, 100),
        heading: scaled(heading, 10),
        altitude: scaled(altitude, 10),
        battery: battery ?? null,
      });
    }
    return found;
  }

  encode(message: ClientMessage): Uint8Array<ArrayBuffer> {
    return encode(elements(message));
  }
}

function elements(message: ClientMessage): unknown[] {
  const number = NUMBERS[message.type];
  switch (message.type) {
    case "location_update": {
      const { data } = message;
      const row = [
        number,
        Math.round(data.lat * DEGREE),
        Math.round(data.lng * DEGREE),
        Date.parse(data.timestamp),
        data.accuracy === undefined ? null : Math.ceil(data.accuracy),
        whole(data.age_ms, 1),
        whole(data.speed, 100),
        whole(data.heading, 10),
        whole(data.altitude, 10),
        whole(data.battery, 1),
      ];
      while (row[row.length - 1] === null) row.pop();
      return row;
    }
    case "set_pace":
      return [number, message.data.interval_s];
    case "presence":
      return [number, STATES.indexOf(message.data.state)];
    default:
      return [number];
  }
}

const scaled = (value: number | null | undefined, unit: number): number | null =>
  value == null ? null : value / unit;

const whole = (value: number | undefined, unit: number): number | null =>
  value === undefined ? null : Math.round(value * unit);

/** The dialect that the server chose; plain where it names none. */
export function dialectOf(subprotocol: string): Dialect {
  return subprotocol === COMPACT ? new CompactDialect() : new PlainDialect();
}
