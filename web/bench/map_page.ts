/**
 * The map without the rest of the page, with people who are made up: for tools/web_map.py, which
 * measures and photographs it, and for tests of the markers.
 */

import { now } from "../src/core/clock";
import type { MapType } from "../src/core/map_types";
import type { Person } from "../src/core/session";
import { english, load } from "../src/i18n";
import type { MapSource } from "../src/io/api";
import { createMap } from "../src/map/group_map";
import type { GroupMapHandle } from "../src/map/surface";
import { type SceneName, scenes } from "./scenes";

const wish = new URLSearchParams(location.search);
const root = new URL("./", location.href).href;
const parent = document.getElementById("map")!;

interface Bench {
  readonly map: GroupMapHandle;
  readonly happened: string[];
  people: readonly Person[];
  /** Show people by the name of a scene. */
  scene(name: SceneName): void;
  /** One step of everybody, as a flush of the server brings it. */
  step(): void;
  show(): void;
}

declare global {
  interface Window {
    bench: Bench;
  }
}

const happened: string[] = [];
const world: MapSource = { name: "world", kind: "tilejson", url: "world.json" };
const file: MapSource = { name: "standard", kind: "tilejson", url: "tiles.json" };
const wanted = wish.get("map") ?? "world";
const sources = wanted === "none" ? [] : wanted === "file" ? [file, world] : [world];
const language = wish.get("language") ?? "en";
const map = createMap(
  parent,
  {
    root,
    sources,
    type: (wish.get("type") ?? "auto") as MapType,
    isDark: window.matchMedia("(prefers-color-scheme: dark)").matches,
    units: "metric",
    t: english,
    isStill: wish.get("still") === "yes",
    padding: { top: 0, right: 0, bottom: 0, left: 0 },
    island: null,
  },
  {
    onPerson: (userId) => happened.push(`person ${userId}`),
    onStack: (userIds) => happened.push(`stack ${userIds.join()}`),
    onGround: () => happened.push("ground"),
    onFollow: (what) => happened.push(`follow ${what.kind}`),
  },
);

window.bench = {
  map,
  happened,
  people: [],
  scene(name) {
    this.people = scenes[name](now());
    this.show();
  },
  step() {
    const at = now();
    this.people = this.people.map((each, index) => {
      if (each.place === null || each.state !== "active") return each;
      const turn = at / 30_000 + index;
      const { lat, lng } = each.place;
      const place = {
        ...each.place,
        lat: lat + 8e-5 * Math.cos(turn),
        lng: lng + 12e-5 * Math.sin(turn),
        heading: ((((turn * 180) / Math.PI) % 360) + 360) % 360,
        at,
        heard: at,
      };
      return { ...each, place };
    });
    this.show();
  },
  show() {
    map.show(this.people, now());
  },
};
if (language !== "en") void load([language]).then((t) => map.setOptions({ t }));
window.bench.scene((wish.get("scene") ?? "group") as SceneName);
