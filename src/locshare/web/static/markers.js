/**
 * The people on the map: one element each, moved smoothly from where it was to where it is, with the
 * way of the last half minute behind it. Older ways are forgotten, like older positions.
 */

import { ago, avatar, inkOn, safeColor, shortened } from "./format.js";
import { project, wrapped } from "./geo.js";
import { FRESH_MS, RETENTION_MS } from "./session.js";

const LEAST_GLIDE_MS = 200;
const MOST_GLIDE_MS = 2_200;
/** A jump too far to glide, in units of the map: about 4 km. */
const LEAP = 1e-4;

class Marker {
  constructor(person) {
    this.element = document.createElement("div");
    this.element.className = "marker";
    this.element.dataset.userId = person.userId;
    for (const part of ["arrow", "dot", "name"]) {
      this[part] = document.createElement("span");
      this[part].className = `marker-${part}`;
      this.element.append(this[part]);
    }
    this.who = document.createElement("bdi");
    this.age = document.createElement("span");
    this.name.append(this.who, this.age);
    this.from = this.to = project(person.place);
    this.heard = -Infinity; // when the newest position came
    this.began = 0;
    this.glide = 0;
    this.trail = []; // {x, y, at}
    this.width = 0; // of the name
    this.named = true; // whether there is room for it
  }

  show(person, now, still) {
    this.person = person;
    const { element } = this;
    const color = safeColor(person.color);
    element.style.setProperty("--color", color);
    element.style.setProperty("--ink", inkOn(color));
    element.classList.toggle("is-me", person.isMe);
    element.classList.toggle("is-offline", !person.online && !person.isMe);
    this.dot.textContent = avatar(person.name);
    const { lat, lng, heading, at, heard } = person.place;
    const age = now - at;
    const name = person.isMe ? "You" : shortened(person.name);
    const old = age < FRESH_MS ? "" : ` · ${ago(age)}`;
    if (this.who.textContent !== name || this.age.textContent !== old) {
      this.who.textContent = name;
      this.age.textContent = old;
      this.width = this.name.offsetWidth;
    }
    element.dataset.place = `${lat.toFixed(6)},${lng.toFixed(6)}`;
    this.arrow.hidden = heading === null;
    if (heading !== null) this.arrow.style.transform = `rotate(${heading}deg)`;
    if (heard === this.heard) return;
    const target = project(person.place);
    const here = this.where(now);
    const leap = Math.hypot(wrapped(target.x - here.x), target.y - here.y) > LEAP;
    this.from = leap ? target : here;
    this.to = target;
    this.glide = still || leap ? 0 : clamp(heard - this.heard, LEAST_GLIDE_MS, MOST_GLIDE_MS);
    if (leap) this.trail = [];
    this.heard = heard;
    this.began = now;
    this.trail.push({ ...target, at: now });
  }

  /** Where it is shown now, as a point of the map. */
  where(now) {
    const share = this.glide > 0 ? clamp((now - this.began) / this.glide, 0, 1) : 1;
    return {
      x: this.from.x + wrapped(this.to.x - this.from.x) * share,
      y: this.from.y + (this.to.y - this.from.y) * share,
    };
  }

  /** Show the name or leave it out. */
  setNamed(named) {
    if (named === this.named) return;
    this.named = named;
    this.name.classList.toggle("is-crowded", !named);
  }

  /** True while it moves. */
  moving(now) {
    return now - this.began < this.glide;
  }

  /** 1 for a fresh position, less for one that is about to be forgotten. */
  freshness(now) {
    const age = now - this.person.place.at - FRESH_MS;
    return 1 - 0.65 * clamp(age / (RETENTION_MS - FRESH_MS), 0, 1);
  }
}

export class Markers {
  #layer;
  #onPick;
  #shown = new Map(); // user_id → Marker

  /** `layer` gets the elements; `onPick(userId)` is called when one is pressed. */
  constructor(layer, onPick) {
    this.#layer = layer;
    this.#onPick = onPick;
  }

  /** Show those of `people` who have a place. `still`: without gliding. */
  show(people, now, still) {
    const gone = new Set(this.#shown.keys());
    for (const person of people) {
      if (person.place === null) continue;
      gone.delete(person.userId);
      let marker = this.#shown.get(person.userId);
      if (marker === undefined) {
        marker = new Marker(person);
        marker.element.addEventListener("click", () => this.#onPick(person.userId));
        this.#shown.set(person.userId, marker);
        this.#layer.append(marker.element);
      }
      marker.show(person, now, still);
    }
    for (const userId of gone) {
      this.#shown.get(userId).element.remove();
      this.#shown.delete(userId);
    }
  }

  get(userId) {
    return this.#shown.get(userId);
  }

  [Symbol.iterator]() {
    return this.#shown.values();
  }
}

function clamp(value, low, high) {
  return Math.max(low, Math.min(high, value));
}
