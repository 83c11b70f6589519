/**
 * What to do when a WebSocket has closed: docs/reference/protocol.md, "Close codes", as a
 * table. Pure: the randomness is given.
 *
 * `stay` means that reconnecting cannot work, and gives the reason to show. Otherwise `least` and
 * `most` are the bounds of the first delay in milliseconds, which doubles with each failed attempt.
 * The delay is random between the bounds, so that a group does not reconnect at one moment.
 */

export const CEILING_MS = 30_000;

const AGAIN = { least: 500, most: 1_500 };

const ENDINGS = {
  1000: { stay: "left" },
  1002: { stay: "failed" },
  1007: { stay: "failed" },
  1009: { stay: "failed" },
  1012: { least: 1_000, most: 5_000 },
  1013: { least: 5_000, most: 30_000 },
  4400: { stay: "failed" },
  4401: { stay: "rejoin" },
  4403: { stay: "removed" },
  4404: { stay: "unknown" },
  4409: { stay: "replaced" },
  4410: { stay: "ended" },
  4429: { least: 10_000, most: 15_000 },
};

/** Why not to reconnect after this close code, or null. */
export function whyStay(code) {
  return ENDINGS[code]?.stay ?? null;
}

/** Whether the server requested a delay, which nothing may shorten. */
export function askedForTime(code) {
  return (ENDINGS[code]?.least ?? 0) >= 5_000;
}

/** Milliseconds to wait after `code`; `attempt` is 0 for the first. `random` gives 0 … 1. */
export function delayAfter(code, attempt, random = Math.random) {
  const { least, most } = ENDINGS[code]?.stay ? AGAIN : (ENDINGS[code] ?? AGAIN);
  const factor = 2 ** Math.min(attempt, 10);
  const low = Math.min(least * factor, CEILING_MS / 2);
  const high = Math.min(most * factor, CEILING_MS);
  return low + random() * (high - low);
}
