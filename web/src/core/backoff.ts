/**
 * What to do when a WebSocket has closed: docs/reference/protocol.md, "Close codes". Pure: the
 * randomness is given.
 *
 * Waits are exponential with full jitter, so that a group does not come back at one moment: each is
 * random between nothing (or what the server requested) and a bound that grows with every failed
 * attempt, as in src/locshare/client/backoff.py.
 */

import { BACK_OFF, CLOSINGS, shouldReconnect } from "../generated/closing";

export type StayReason =
  | "left"
  | "failed"
  | "rejoin"
  | "removed"
  | "unknown"
  | "replaced"
  | "ended";

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
  const grown = BACK_OFF.first_s * BACK_OFF.growth ** Math.min(attempt, 100);
  const bound = Math.min(grown, BACK_OFF.most_s) * 1000;
  const [from, to] = (CLOSINGS[code]?.wait_s ?? [0, 0]).map((each) => each * 1000);
  if (!to) return LEAST_MS + random() * (bound - LEAST_MS);
  const most = attempt === 0 ? to : Math.max(to, from! + bound);
  return from! + random() * (most - from!);
}
