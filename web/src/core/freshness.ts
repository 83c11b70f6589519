/** How old a position is, and what that means. Pure. Ages are of the fix, never of its message. */

/** Up to this age a position is live; then it fades. */
export const FRESH_MS = 20_000;
/** From this age on it is not live: it is shown in grey, with its age in words. */
export const STALE_MS = 30_000;

export type Freshness = "live" | "fading" | "old";

export function freshness(age_ms: number): Freshness {
  if (age_ms < FRESH_MS) return "live";
  return age_ms < STALE_MS ? "fading" : "old";
}

/** The opacity of a marker: 1 while it is live, 0.45 once it is old. */
export function opacity(age_ms: number): number {
  const share = Math.max(0, Math.min(1, (age_ms - FRESH_MS) / (STALE_MS - FRESH_MS)));
  return 1 - 0.55 * share;
}
