/** Groups of made-up people, each to try one difficulty of the markers. Reproducible. */

import type { Person, Position } from "../src/core/session";

export type SceneName = "group" | "pile" | "dateline" | "pole" | "scripts" | "ages";
type Scene = (now: number) => readonly Person[];

const COLORS = [
  "#d6455d",
  "#e07a2f",
  "#c99a06",
  "#2e9e5b",
  "#1f9aa8",
  "#2f6fde",
  "#8053d7",
  "#d64a9c",
];
const FIRST = ["Ada", "Ben", "Chloé", "Dario", "Esra", "Finn", "Grace", "Hugo", "Ines", "Jonas"];
const LAST = ["", " Berg", " Okafor", " Lindqvist", " Marín"];

/** Numbers that look like chance, and are the same each time. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

interface Given {
  readonly lat: number;
  readonly lng: number;
  readonly name?: string;
  readonly age?: number;
  readonly accuracy?: number | null;
  readonly heading?: number | null;
  readonly more?: Partial<Person>;
}

const person = (now: number, at: number, given: Given): Person => {
  const place: Position = {
    lat: given.lat,
    lng: given.lng,
    accuracy: given.accuracy === undefined ? 12 : given.accuracy,
    heading: given.heading === undefined ? null : given.heading,
    speed: null,
    battery: null,
    at: now - (given.age ?? 0),
    heard: now,
  };
  return {
    userId: `user-${at}`,
    name: given.name ?? FIRST[at % 10]! + LAST[Math.floor(at / 10) % 5]!,
    color: COLORS[at % COLORS.length]!,
    online: true,
    state: "active",
    role: at === 0 ? "host" : "participant",
    lastSeen: now,
    isMe: at === 0,
    place,
    ...given.more,
  };
};

/** A hike of 50 in the Harz: a crowd, some spread out, three who are elsewhere. */
const group: Scene = (now) => {
  const random = chance(7);
  return Array.from({ length: 50 }, (_, at) => {
    const far = at >= 47;
    const spread = at < 9 ? 2e-5 : far ? 3 : 0.022;
    const lat = 51.799 + (random() - 0.5) * spread;
    const lng = 10.617 + (random() - 0.5) * spread * 1.7;
    const heading = at % 3 === 0 ? Math.floor(random() * 360) : null;
    const age = at % 11 === 10 ? 24_000 : at % 13 === 12 ? 240_000 : 2_000;
    return person(now, at, { lat, lng, heading, age, accuracy: at % 5 === 0 ? 120 : 12 });
  });
};

/** All in one place, as nearly as phones know. */
const pile: Scene = (now) => {
  const random = chance(3);
  return Array.from({ length: 49 }, (_, at) => {
    const near = (): number => (random() - 0.5) * 6e-5;
    return person(now, at, { lat: 52.52 + near(), lng: 13.405 + near(), accuracy: 25 });
  });
};

const dateline: Scene = (now) => [
  person(now, 0, { lat: -16.8, lng: 179.98 }),
  person(now, 1, { lat: -16.81, lng: -179.99 }),
  person(now, 2, { lat: -16.79, lng: -179.97, heading: 90 }),
];

const pole: Scene = (now) => [
  person(now, 0, { lat: 90, lng: 0 }),
  person(now, 1, { lat: 89.99, lng: 120 }),
  person(now, 2, { lat: 84.9, lng: 10 }),
];

const NAMES = [
  "Maximilian von der Hohenwarte-Lindenberg",
  "محمد العربي",
  "שרה כהן",
  "張偉",
  "さくら",
  "Дмитрий",
  "น้ำฝน",
  "अनुष्का शर्मा",
  "👩‍👩‍👧‍👦 family",
  "🇨🇦",
  "\u200b\u2060\u2800Zoë",
  "\u202eevil",
  "Z̷̢̛͎̗̈́͒͋a̶̡̛̘̓̈́l̴̰̈́͝g̷̱̈́̕o̵̲͑̿",
  "\u2800\u2800",
  "<b>bold</b>",
  "ﷺ",
];

const scripts: Scene = (now) =>
  NAMES.map((name, at) => {
    const lat = 48.2 + Math.floor(at / 4) * 0.004;
    return person(now, at, { lat, lng: 16.37 + (at % 4) * 0.006, name });
  });

/** Live, fading, old, paused, locked, offline. */
const ages: Scene = (now) =>
  [0, 22_000, 27_000, 45_000, 600_000, 90_000, 90_000, 7_200_000].map((age, at) =>
    person(now, at, {
      lat: 47.37 + Math.floor(at / 4) * 0.004,
      lng: 8.54 + (at % 4) * 0.006,
      age,
      heading: 45 * at,
      more: {
        state: at === 5 ? "paused" : at === 6 ? "hidden" : "active",
        online: at !== 7,
      },
    }),
  );

export const scenes: { readonly [name in SceneName]: Scene } = {
  group,
  pile,
  dateline,
  pole,
  scripts,
  ages,
};
