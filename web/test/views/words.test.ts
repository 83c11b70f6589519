import { expect, test } from "vitest";
import { translator } from "../../src/core/i18n";
import type { Person } from "../../src/core/session";
import de from "../../src/i18n/de";
import en from "../../src/i18n/en";
import { myStandingText, type Sharing, standingText } from "../../src/views/people";

const NOW = 10_000_000;

function person(change: Partial<Person>, age_ms: number): Person {
  const at = NOW - age_ms;
  const place = { lat: 52, lng: 13, accuracy: 5, heading: null, speed: null, battery: null };
  return {
    userId: "bo",
    name: "Bo",
    color: "#123456",
    online: true,
    state: "active",
    role: "participant",
    lastSeen: at,
    isMe: false,
    place: { ...place, at, heard: at },
    ...change,
  };
}

test.each<[Partial<Person>, number, string]>([
  [{}, 5_000, "live"],
  [{}, 240_000, "last seen 4 min ago, 320 m from here"],
  [{ online: false }, 240_000, "offline · last seen 4 min ago, 320 m from here"],
  [{ state: "hidden" }, 240_000, "in the background · last seen 4 min ago, 320 m from here"],
  [{ state: "paused" }, 5_000, "paused · last seen 5 s ago, 320 m from here"],
  [{ place: null }, 0, "no position"],
  [{ place: null, online: false }, 60_000, "offline · last seen 1 min ago"],
])("%j, %i ms old, is %s", (change, age_ms, text) => {
  const words = standingText(translator(en), person(change, age_ms), NOW, true, "320 m");
  expect(words).toBe(text);
});

test("the age is the one of the fix, however long somebody has been there since", () => {
  const long = person({ online: false, lastSeen: NOW - 10_000 }, 600_000);
  const words = standingText(translator(de), long, NOW, true, "320 m");
  expect(words).toBe("offline · zuletzt gesehen vor 10 min, 320 m von hier");
});

test.each<[Partial<Sharing>, number | null, string]>([
  [{}, 3_000, "sharing your position"],
  [{ isBlurred: true }, 3_000, "sharing roughly where you are"],
  [{ isCut: true }, 3_000, "not connected: nobody gets your position"],
  [{ isPaused: true, isCut: true }, 3_000, "paused: nobody sees where you are"],
  [{ shares: false, isPaused: true }, 3_000, "only watching"],
  [{ status: "denied" }, 3_000, "only watching"],
  [{ status: "asking" }, null, "looking for your position …"],
  [{ status: "stale" }, 90_000, "your position is from 2 min ago"],
])("%j, %o ms old, of oneself is %s", (change, age_ms, text) => {
  const all = { status: "sharing", shares: true, isPaused: false, isBlurred: false, isCut: false };
  const { place } = person({}, age_ms ?? 0);
  const sharing = { ...all, ...change } as Sharing;
  const words = myStandingText(translator(en), age_ms === null ? null : place, NOW, sharing);
  expect(words).toBe(text);
});
