/**
 * What to do when a WebSocket has closed: docs/reference/protocol.md, "Close codes". Pure: the
 * randomness is given.
 *
 * Waits are exponential with full jitter, so that a group does not come back at one moment: each is
 * random between nothing (or what the server requested) and a bound that doubles with every failed
 * attempt.
 */

export type StayReason =
  | "left"
  | "failed"
  | "rejoin"
  | "removed"
  | "unknown"
  | "replaced"
  | "ended";

interface Ending {
  readonly stay?: StayReason;
  /** Bounds of the first wait that the server asks for, in seconds. */
  readonly wait_s?: readonly [number, number];
}

const FIRST_MS = 1_000;
const CEILING_MS = 30_000;
/** The first attempt after a lost connection: soon, but not at once, for a server that is starting. */
const LEAST_MS = 100;

const ENDINGS: { readonly [code: number]: Ending } = {
  1000: { stay: "left" },
  1002: { stay: "failed" },
  1007: { stay: "failed" },
  1009: { stay: "failed" },
  1012: { wait_s: [1, 5] },
  1013: { wait_s: [5, 30] },
  4400: { stay: "failed" },
  4401: { stay: "rejoin" },
  4403: { stay: "removed" },
  4404: { stay: "unknown" },
  4408: {},
  4409: { stay: "replaced" },
  4410: { stay: "ended" },
  4429: { wait_s: [10, 15] },
};

/** Why not to reconnect after this close code, or null. A code that is not listed says so by its range. */
export function whyStay(code: number): StayReason | null {
  const ending = ENDINGS[code];
  if (ending !== undefined) return ending.stay ?? null;
  return code >= 4000 && code <= 4499 ? "failed" : null;
}

/** Whether the server requested a wait of seconds, which nothing may shorten. */
export function askedForTime(code: number): boolean {
  return (ENDINGS[code]?.wait_s?.[0] ?? 0) >= 5;
}

/** Milliseconds to wait after `code`; `attempt` is 0 for the first. `random` gives 0 … 1. */
export function delayAfter(code: number, attempt: number, random: () => number): number {
  const factor = 2 ** Math.min(attempt, 10);
  const asked = ENDINGS[code]?.wait_s;
  const least = Math.min(asked === undefined ? LEAST_MS : asked[0] * 1000, CEILING_MS / 2);
  const most = asked === undefined ? FIRST_MS : asked[1] * 1000;
  return least + random() * (Math.min(most * factor, CEILING_MS) - least);
}
