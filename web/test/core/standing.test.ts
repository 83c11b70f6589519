import { describe, expect, test } from "vitest";
import { directionsLink, platformOf } from "../../src/core/directions";
import { pictureOf, stateOf } from "../../src/core/picture";
import { EMPTY, everyone, type Person, type SessionState } from "../../src/core/session";
import { standing } from "../../src/core/standing";

const NOW = 5_000_000;
const WALL = 1_700_000_000_000;

const person = (change: Partial<Person> = {}, age: number | null = 1_000): Person => ({
  userId: "bo",
  name: "Bo",
  color: "#112233",
  online: true,
  state: "active",
  role: "participant",
  lastSeen: NOW - 90_000,
  isMe: false,
  place:
    age === null
      ? null
      : {
          lat: 1,
          lng: 2,
          accuracy: 5,
          heading: null,
          speed: null,
          battery: null,
          at: NOW - age,
          heard: NOW,
        },
  ...change,
});

describe("how a person stands", () => {
  test.each([
    ["live, with a fresh fix", person(), true, { kind: "live" }],
    ["by the age of the fix after 30 s", person({}, 31_000), true, { kind: "here", age: 31_000 }],
    [
      "never live while this device has no connection",
      person(),
      false,
      { kind: "here", age: 1_000 },
    ],
    ["without a position", person({}, null), true, { kind: "no_position" }],
    ["offline, since when", person({ online: false }), true, { kind: "offline", age: 90_000 }],
    ["paused, however fresh", person({ state: "paused" }), true, { kind: "paused", age: 1_000 }],
    ["live although hidden, while fixes come", person({ state: "hidden" }), true, { kind: "live" }],
    [
      "hidden, once they do not",
      person({ state: "hidden" }, 40_000),
      true,
      { kind: "hidden", age: 40_000 },
    ],
  ])("%s", (_, who, isLive, expected) => {
    expect(standing(who, NOW, isLive)).toEqual(expected);
  });
});

describe("the last picture", () => {
  const state: SessionState = {
    ...EMPTY,
    session: { id: "s", name: "Alps", expiresAt: NOW + 60_000, locked: true, linkKey: "key" },
    me: { userId: "me", role: "host" },
    people: new Map([["bo", person()]]),
    positions: new Map([["bo", person().place!]]),
    epoch: "e",
    seq: 4,
  };
  const kept = JSON.parse(JSON.stringify(pictureOf(state, NOW, WALL)));

  test("shows everyone where they were, as old as that is, and offline", () => {
    // Ten seconds later, in another life of the page, whose clock began anew.
    const found = stateOf("s", kept, 100, WALL + 10_000);
    expect(found.session).toMatchObject({ name: "Alps", locked: true, expiresAt: 100 + 50_000 });
    const [bo] = everyone(found);
    expect(bo).toMatchObject({ name: "Bo", online: false });
    expect(100 - bo!.place!.at).toBe(11_000);
  });

  test("is no state to resume from", () => {
    expect(stateOf("s", kept, 100, WALL).epoch).toBe("");
  });

  test.each([null, {}, { session: {} }, { session: { name: "x" }, me: 1, people: 3 }])(
    "of another build is none: %j",
    (value) => {
      expect(stateOf("s", value as never, NOW, WALL)).toBe(EMPTY);
    },
  );

  test("is none before the first snapshot", () => {
    expect(pictureOf(EMPTY, NOW, WALL)).toBeNull();
  });
});

describe("the way to a place", () => {
  const place = { lat: 52.5163, lng: -13.3777 };
  test.each([
    [
      "Mozilla/5.0 (Linux; Android 14)",
      5,
      "geo:52.516300,-13.377700?q=52.516300,-13.377700(Bo%20L)",
    ],
    [
      "Mozilla/5.0 (iPhone; CPU iPhone OS 17)",
      5,
      "https://maps.apple.com/?daddr=52.516300,-13.377700",
    ],
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X)",
      5,
      "https://maps.apple.com/?daddr=52.516300,-13.377700",
    ],
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X)",
      0,
      "https://www.openstreetmap.org/directions?to=52.516300%2C-13.377700",
    ],
  ])("%s with %i fingers", (agent, touches, link) => {
    expect(directionsLink(place, "Bo L", platformOf(agent, touches))).toBe(link);
  });
});
