/**
 * What to do when a WebSocket has closed: docs/reference/protocol.md, "Close codes". Pure: the
 * randomness is given.
 *
 * Waits are exponential with full jitter, so that a group does not come back at one moment: each is
 * random between nothing (or what the server requested) and a bound that doubles with every failed
 * attempt, but stays at 4 s for the first ten: a server that starts again is found within 5 s.
 */

import { CLOSINGS, shouldReconnect } from "../generated/closing";

export type StayReason =
  | "left"
  | "failed"
  | "rejoin"
  | "removed"
  | "unknown"
  | "replaced"
  | "ended";

const FIRST_MS = 1_000;
const CEILING_MS = 30_000;
/** As long as a server may just be starting again, somebody waits for it. */
const SOON_MS = 4_000;
const SOON_ATTEMPTS = 10;
/** The first attempt after a lost connection: soon, but not at once, for a server that is starting. */
const LEAST_MS = 100;

/** By the reasons of the table; any other is a failure of this page or the server. */
const STAY: { readonly [reason: string]: StayReason } = {
  left: "left",
  bad_token: "rejoin",
  forbidden: "removed",
  not_found: "unknown",
  replaced: "replaced",
  session_ended: "ended",
};

/** Why not to reconnect after this close code, or null. */
export function whyStay(code: number): StayReason | null {
  if (shouldReconnect(code)) return null;
  return STAY[CLOSINGS[code]?.reason ?? ""] ?? "failed";
}

/** Whether the server requested a wait of seconds, which nothing may shorten. */
export function askedForTime(code: number): boolean {
  return (CLOSINGS[code]?.wait_s[0] ?? 0) >= 5;
}

/** Milliseconds to wait after `code`; `attempt` is 0 for the first. `random` gives 0 … 1. */
export function delayAfter(code: number, attempt: number, random: () => number): number {
  const factor = 2 ** Math.min(attempt, 10);
  const [from, to] = CLOSINGS[code]?.wait_s ?? [0, 0];
  const least = Math.min(from === 0 ? LEAST_MS : from * 1000, CEILING_MS / 2);
  if (to === 0) {
    const ceiling = attempt < SOON_ATTEMPTS ? SOON_MS : CEILING_MS;
    return least + random() * (Math.min(FIRST_MS * factor, ceiling) - least);
  }
  const most = to * 1000;
  return least + random() * (Math.min(most * factor, CEILING_MS) - least);
}
