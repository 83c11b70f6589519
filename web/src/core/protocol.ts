/**
 * The messages of docs/reference/protocol.md in both dialects, as one form. Pure.
 *
 * A decoder turns a frame into messages, and anything that is not one into none: a newer server may
 * send more. All positions of a flush are one message.
 */

import { decode, encode } from "@msgpack/msgpack";
import { SUBPROTOCOL as COMPACT, TYPES, UNITS } from "../generated/compact";
import type {
  Presence,
  PresenceState,
  ServerMessage as Received,
  SetPace,
  Snapshot,
} from "../generated/messages";
import { SUBPROTOCOL as PLAIN } from "../generated/messages";

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

export type { EndReason, PresenceState } from "../generated/messages";

/** A position of somebody, in either dialect. */
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

export interface SnapshotData extends Omit<Snapshot, "positions" | "missed"> {
  readonly positions: readonly PositionData[];
  readonly missed?: readonly ServerMessage[];
}

export type ServerMessage =
  | { readonly type: "session_state"; readonly data: SnapshotData }
  | { readonly type: "positions"; readonly data: readonly PositionData[] }
  | Exclude<Received, { readonly type: "session_state" | "location_update" }>;

export type ClientMessage =
  | { readonly type: "location_update"; readonly data: Report }
  | { readonly type: "ping" | "leave" }
  | { readonly type: "set_pace"; readonly data: SetPace }
  | { readonly type: "presence"; readonly data: Presence };

/** One connection's dialect: a decoder has what the snapshot of its connection announced. */
export interface Dialect {
  readonly subprotocol: string;
  decode(frame: string | ArrayBuffer): readonly ServerMessage[];
  encode(message: ClientMessage): string | Uint8Array<ArrayBuffer>;
}

// --- plain ------------------------------------------------------------------------------------

export { COMPACT, PLAIN };

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

const NAMES = Object.keys(TYPES) as readonly (keyof typeof TYPES)[]; // in the order of their numbers
const STATES: readonly PresenceState[] = ["active", "paused", "hidden"];
const [, DEGREE, , , , , SPEED, HEADING, ALTITUDE] = UNITS;

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
    const type = NAMES[kind as number];
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
      participants: readonly Numbered[];
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
        const type = NAMES[kind];
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
        speed: scaled(speed, SPEED),
        heading: scaled(heading, HEADING),
        altitude: scaled(altitude, ALTITUDE),
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
  const number = TYPES[message.type];
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
        whole(data.speed, SPEED),
        whole(data.heading, HEADING),
        whole(data.altitude, ALTITUDE),
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
