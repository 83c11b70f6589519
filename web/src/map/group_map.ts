/**
 * The map: the ground, above it the pane of markers, and the camera that both follow. It
 * draws when something has changed or moves, once for each picture of the screen at most, and nothing
 * while the page is hidden.
 *
 * The ground (ground.ts) is the canvas at once; once people are on it, MapLibre may come.
 */

import "./map.css";
import type { Follow } from "../app/state";
import {
  type Camera,
  MAX_ZOOM,
  MIN_ZOOM,
  type Padding,
  panned,
  type Size,
  zoomed,
} from "../core/camera";
import { now as clock } from "../core/clock";
import type { Point } from "../core/geo";
import type { Person } from "../core/session";
import { attachGestures } from "./gestures";
import { scaleBar } from "./grid";
import { Ground } from "./ground";
import { MarkerPane } from "./pane";
import {
  type Coast,
  centred,
  coasted,
  coveredBy,
  type Journey,
  journey,
  type Located,
  shows,
  travelled,
  wanted,
} from "./steering";
import type { GroupMapHandle, MapEvents, MapOptions } from "./surface";

/** Between two thoughts about stacks, names and arrows while the map moves. */
const LAYOUT_MS = 120;
/** Between two steps of those who glide: they are slow. */
const GLIDE_MS = 40;
const SCALE_PX = 96;
const ZOOM_MS = 180;
/** People may well have a place by then; if nobody has, the countries are something to look at. */
const NOBODY_PLACED_MS = 2_000;
const START: Camera = { x: 0.5, y: 0.36, zoom: 1.6 };

/** A zoom on its way: of a wheel's notch, a double tap, a key. */
interface Zooming {
  readonly about: Point;
  readonly from: number;
  readonly to: number;
  readonly began: number;
}

type Motion =
  | { readonly kind: "journey"; readonly way: Journey }
  | { readonly kind: "coast"; readonly coast: Coast; done: Point }
  | { readonly kind: "zoom"; readonly zoom: Zooming };

/** Make a map inside `parent`, which is positioned and has a size. */
export function createMap(
  parent: HTMLElement,
  options: MapOptions,
  events: MapEvents,
): GroupMapHandle {
  return new GroupMap(parent, options, events);
}

class GroupMap implements GroupMapHandle {
  private readonly root: HTMLElement;
  private readonly ground: Ground;
  private readonly pane: MarkerPane;
  private readonly foot: HTMLElement;
  private readonly scale: HTMLElement;
  private readonly credit: HTMLElement;
  private readonly events: MapEvents;
  private readonly stops: (() => void)[] = [];
  private options: { padding: Padding } & MapOptions;
  private camera: Camera = START;
  private size: Size = { width: 0, height: 0 };
  private following: Follow = { kind: "everyone" };
  private selected: string | null = null;
  private people: readonly Person[] = [];
  private motion: Motion | null = null;
  private frame = 0;
  private timer = 0;
  private isPaused = false;
  private isDestroyed = false;
  /** Somebody has been shown: from then on the map travels instead of jumping. */
  private isPlaced = false;
  private isMoved = true; // the camera or the size, since the ground was drawn
  private isLaidOut = false;
  private laidOutAt = Number.NEGATIVE_INFINITY;
  private scaleText = "";
  /** When the first people came, with a place or without. */
  private peopledAt = Number.POSITIVE_INFINITY;

  constructor(parent: HTMLElement, options: MapOptions, events: MapEvents) {
    this.options = options;
    this.events = events;
    this.root = document.createElement("div");
    this.root.className = "map";
    this.root.tabIndex = 0;
    this.root.setAttribute("role", "region");
    this.credit = document.createElement("span");
    this.credit.className = "map-credit";
    this.ground = new Ground(this.root, options, (text) => {
      this.credit.textContent = text;
    });
    this.pane = new MarkerPane(options, {
      onPerson: (userId) => events.onPerson(userId),
      onStack: (userIds) => this.openStack(userIds),
      onArrows: (userIds) => this.showAll(userIds),
    });
    this.root.appendChild(this.pane.element);
    this.foot = this.root.appendChild(document.createElement("div"));
    this.foot.className = "map-foot";
    this.scale = this.foot.appendChild(document.createElement("span"));
    this.scale.className = "map-scale";
    this.foot.appendChild(this.credit);
    parent.appendChild(this.root);
    this.dress();
    this.stops.push(
      attachGestures(this.root, {
        onTouch: () => {
          this.motion = null;
        },
        onPan: (dx, dy) => this.take(panned(this.camera, dx, dy), true),
        onThrow: (vx, vy) => {
          if (this.options.isStill) return;
          const coast = { vx, vy, began: clock() };
          this.motion = { kind: "coast", coast, done: { x: 0, y: 0 } };
          this.invalidate();
        },
        onZoom: (delta, about, isSmooth) => this.zoomed(delta, about, isSmooth),
      }),
    );
    this.root.addEventListener("click", (event) => {
      if ((event.target as Element).closest("[data-user],[data-stack],[data-arrow]")) return;
      if (this.pane.closeStack()) this.relayout();
      else this.events.onGround();
    });
    const resized = (): void => this.resize();
    window.addEventListener("resize", resized);
    this.stops.push(() => window.removeEventListener("resize", resized));
    if ("ResizeObserver" in window) {
      const observer = new ResizeObserver(resized);
      observer.observe(this.root);
      this.stops.push(() => observer.disconnect());
    }
    this.resize();
  }

  show(people: readonly Person[], now: number): void {
    const isSame = people === this.people;
    this.people = people;
    if (this.isPaused) return; // resume() shows them
    if (isSame) {
      if (this.pane.age(now)) this.relayout();
    } else {
      this.pane.show(people, now, this.options.isStill);
      this.steer(false);
      this.relayout();
    }
    if (people.length > 0 && now < this.peopledAt) this.peopledAt = now;
    if (this.mayBring(now)) void this.ground.bringMapLibre();
  }

  /** The group comes first. */
  private mayBring(now: number): boolean {
    return this.isPlaced || now - this.peopledAt >= NOBODY_PLACED_MS;
  }

  follow(what: Follow): void {
    this.following = what;
    this.steer(true);
  }

  select(userId: string | null): void {
    this.selected = userId;
    this.pane.select(userId);
    this.reveal();
    this.relayout();
  }

  setOptions(change: Partial<MapOptions>): void {
    const before = this.options;
    this.options = { ...before, ...change };
    if (isSame(before.padding, this.options.padding)) this.options.padding = before.padding;
    this.pane.setOptions(this.options);
    const isGround = (["root", "sources", "type", "isDark", "units", "t", "padding"] as const).some(
      (name) => before[name] !== this.options[name],
    );
    if (isGround) {
      this.ground.setOptions(this.options);
      if (before.t !== this.options.t || before.units !== this.options.units) {
        this.pane.show(this.people, clock(), true);
      }
      if (this.isPlaced) void this.ground.bringMapLibre();
    }
    this.dress();
    this.isMoved = true;
    this.steer(false);
    if (before.padding !== this.options.padding) this.reveal();
    this.relayout();
  }

  zoomBy(delta: number): void {
    this.motion = null;
    this.zoomed(delta, this.middle(), false);
  }

  resize(): void {
    const { clientWidth: width, clientHeight: height } = this.root;
    if (width === this.size.width && height === this.size.height) return;
    const isFirst = this.size.width === 0;
    this.size = { width, height };
    this.isMoved = true;
    if (isFirst || this.following.kind !== "nobody") this.steer(this.following.kind === "everyone");
    this.relayout();
    // At once: until then the old picture would be stretched, or a stripe be bare.
    if (width > 0 && height > 0 && !this.isPaused) this.tick();
  }

  pause(): void {
    this.isPaused = true;
    this.ground.pause();
    this.motion = null;
    window.cancelAnimationFrame(this.frame);
    window.clearTimeout(this.timer);
    this.frame = this.timer = 0;
  }

  resume(): void {
    this.isPaused = false;
    // They are where they are: nobody wants to see the last hour once more.
    this.pane.show(this.people, clock(), true);
    this.isMoved = true;
    this.steer(false);
    this.relayout();
    this.ground.resume(this.mayBring(clock()));
  }

  destroy(): void {
    this.pause();
    this.isDestroyed = true;
    for (const stop of this.stops) stop();
    this.ground.destroy();
    this.pane.destroy();
    this.root.remove();
  }

  // --- the camera

  private middle(): Point {
    const { top, right, bottom, left } = this.covered();
    const { width, height } = this.size;
    return { x: (left + width - right) / 2, y: (top + height - bottom) / 2 };
  }

  private covered(): Padding {
    return coveredBy(this.options.padding, this.options.island, this.size);
  }

  /** The user has moved the map. Zooming in on one person goes on following them. */
  private take(camera: Camera, isPan: boolean): void {
    this.camera = camera;
    this.isMoved = true;
    const one = this.following.kind === "me" || this.following.kind === "person";
    if (this.following.kind !== "nobody" && (isPan || !one)) {
      this.following = { kind: "nobody" };
      this.events.onFollow(this.following);
    }
    this.invalidate();
  }

  private zoomed(delta: number, about: Point, isSmooth: boolean): void {
    const one = this.following.kind === "me" || this.following.kind === "person";
    const at = one ? this.middle() : about;
    if (isSmooth || this.options.isStill) {
      this.motion = null;
      this.take(zoomed(this.camera, this.size, delta, at), false);
      return;
    }
    const already = this.motion?.kind === "zoom" ? this.motion.zoom.to : this.camera.zoom;
    const to = Math.max(MIN_ZOOM, Math.min(MAX_ZOOM, already + delta));
    const zoom = { about: at, from: this.camera.zoom, to, began: clock() };
    this.motion = { kind: "zoom", zoom };
    this.take(this.camera, false);
  }

  /** Set out for what is followed, if the map does not show it. `asked`: by the user. */
  private steer(asked: boolean): void {
    const { located } = this.pane;
    if (located.length === 0 || this.size.width === 0) return;
    const at = this.motion?.kind === "journey" ? this.motion.way.to : this.camera;
    const view = { camera: at, size: this.size, covered: this.covered() };
    const to = wanted(this.following, located, view, asked || !this.isPlaced);
    if (to === null) return;
    this.travel(to, this.isPlaced);
    this.isPlaced = true;
  }

  /** Bring who was selected onto the screen, unless they are there; then nothing else is followed. */
  private reveal(): void {
    const { selected, following } = this;
    if (selected === null || this.size.width === 0) return;
    if (following.kind === "person" && following.userId === selected) return;
    const [one] = this.pane.located.filter((each) => each.userId === selected);
    const camera = this.motion?.kind === "journey" ? this.motion.way.to : this.camera;
    const view = { camera, size: this.size, covered: this.covered() };
    if (one === undefined || shows(view, one.point)) return;
    this.take(this.camera, true);
    this.travel(centred(one.point, camera.zoom, view.covered), true);
  }

  private travel(to: Camera, smoothly: boolean): void {
    if (!smoothly || this.options.isStill || this.isPaused) {
      this.camera = to;
      this.motion = null;
    } else {
      const way = journey(this.camera, to, this.size, clock());
      this.motion = { kind: "journey", way };
    }
    this.isMoved = true;
    this.invalidate();
  }

  /** Show the people behind an arrow, without following them. */
  private showAll(userIds: readonly string[]): void {
    const those: readonly Located[] = this.pane.located.filter(
      (each) => userIds.indexOf(each.userId) >= 0,
    );
    const view = { camera: this.camera, size: this.size, covered: this.covered() };
    const to = wanted({ kind: "everyone" }, those, view, true);
    if (to === null) return;
    this.take(this.camera, true);
    this.travel(to, true);
    if (userIds.length === 1) this.events.onPerson(userIds[0]!);
  }

  private openStack(userIds: readonly string[]): void {
    this.pane.openStack(userIds);
    const root = this.root;
    root.classList.add("is-fanning");
    window.setTimeout(() => root.classList.remove("is-fanning"), 260);
    this.pane.layout(clock());
    const { fan } = this.pane;
    if (fan !== null) this.bringIn(fan);
    this.relayout();
    this.events.onStack(userIds);
  }

  /** Move the map by as much as the fan is outside. */
  private bringIn({ x, y, radius }: Point & { readonly radius: number }): void {
    const { top, right, bottom, left } = this.options.padding;
    const { width, height } = this.size;
    const way = (at: number, low: number, high: number): number => {
      if (high - low < 2 * radius) return (low + high) / 2 - at;
      return Math.max(low + radius, Math.min(high - radius, at)) - at;
    };
    const dx = way(x, left, width - right);
    const dy = way(y, top, height - bottom);
    if (Math.hypot(dx, dy) < 2) return;
    this.take(this.camera, true);
    this.travel(panned(this.camera, dx, dy), true);
  }

  // --- drawing

  private relayout(): void {
    this.isLaidOut = false;
    this.laidOutAt = Number.NEGATIVE_INFINITY;
    this.invalidate();
  }

  private invalidate(): void {
    if (this.frame !== 0 || this.isPaused || this.isDestroyed) return;
    window.clearTimeout(this.timer);
    this.timer = 0;
    this.frame = window.requestAnimationFrame(() => {
      this.frame = 0;
      this.tick();
    });
  }

  private tick(): void {
    const now = clock();
    if (this.size.width === 0 || this.size.height === 0) return;
    this.advance(now);
    if (this.isMoved) {
      this.isMoved = false;
      this.isLaidOut = false;
      this.ground.setOwn(this.pane.ownPlace(now));
      this.ground.show(this.camera, this.size);
      this.pane.move(this.camera, this.size, now);
    } else if (this.pane.isGliding(now)) {
      this.isLaidOut = false;
      this.pane.glide(now);
      this.ground.setOwn(this.pane.ownPlace(now));
    }
    const isMoving = this.motion !== null;
    if (!this.isLaidOut && now - this.laidOutAt >= LAYOUT_MS) {
      this.pane.layout(now);
      this.drawScale();
      this.laidOutAt = now;
      this.isLaidOut = true;
    }
    if (isMoving) this.invalidate();
    else if (!this.isLaidOut || this.pane.isGliding(now)) this.later(GLIDE_MS);
  }

  /** Draw again soon, but not with the next picture of the screen. */
  private later(ms: number): void {
    if (this.timer !== 0 || this.frame !== 0 || this.isPaused || this.isDestroyed) return;
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      this.invalidate();
    }, ms);
  }

  /** Move the camera along what moves it. */
  private advance(now: number): void {
    const { motion } = this;
    if (motion === null) return;
    this.isMoved = true;
    if (motion.kind === "journey") {
      const { camera, arrived } = travelled(motion.way, now);
      this.camera = camera;
      if (arrived) this.motion = null;
    } else if (motion.kind === "coast") {
      const way = coasted(motion.coast, now);
      this.camera = panned(this.camera, way.x - motion.done.x, way.y - motion.done.y);
      motion.done = way;
      if (!way.moving) this.motion = null;
    } else {
      const { about, from, to, began } = motion.zoom;
      const share = Math.min(1, (now - began) / ZOOM_MS);
      const zoom = from + (to - from) * (1 - (1 - share) ** 3);
      this.camera = zoomed(this.camera, this.size, zoom - this.camera.zoom, about);
      if (share === 1) this.motion = null;
    }
  }

  private drawScale(): void {
    const { units, t } = this.options;
    const { pixels, label } = scaleBar(this.camera, SCALE_PX, units, t);
    const text = `${pixels.toFixed(0)} ${label}`;
    if (text === this.scaleText) return;
    this.scaleText = text;
    this.scale.style.width = `${pixels.toFixed(0)}px`;
    this.scale.textContent = label;
  }

  /** What does not move: scheme, words, and where the foot stands. */
  private dress(): void {
    const { t, padding } = this.options;
    this.root.setAttribute("aria-label", t("map.label"));
    this.root.classList[this.ground.isDark ? "add" : "remove"]("is-dark");
    this.root.classList[this.options.isStill ? "add" : "remove"]("is-still");
    this.foot.style.bottom = `${padding.bottom}px`;
    this.foot.style.left = `${padding.left}px`;
    this.foot.style.right = `${padding.right}px`;
    this.scaleText = "";
  }
}

const isSame = (a: Padding, b: Padding): boolean =>
  a.top === b.top && a.right === b.right && a.bottom === b.bottom && a.left === b.left;
