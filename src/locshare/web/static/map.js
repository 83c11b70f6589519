/**
 * The map: a canvas with the background, accuracies and ways, and above it the markers. What it
 * follows is `everyone` (all with a place), `me`, a user_id, or null after it was moved by hand.
 *
 * It draws when something has changed and while something moves; at rest once a second, for fading.
 */

import { drawBackground, scaleBar } from "./background.js";
import { between, fitted, FIT_ZOOM, panned, scaleOf, suits, toScreen, zoomed } from "./camera.js";
import { now as clock } from "./clock.js";
import { attachGestures } from "./gestures.js";
import { metresPerUnit, unproject } from "./geo.js";
import { inwards, readable } from "./labels.js";
import { Markers } from "./markers.js";
import { RETENTION_MS } from "./session.js";
import { Tiles } from "./tiles.js";

/** Room for names, banners and, on the right, the buttons. */
const PADDING = { top: 64, right: 88, bottom: 72, left: 48 };
const TRAVEL_MS = 500;
/** Between two drawings when only people move: they move slowly. */
const CALM_FRAME_MS = 50;
const SCALE_BAR_PX = 110;

const DAY = {
  ground: "#f3f1ea", line: "#d9d5c8", fineLine: "#e8e5db", faint: "#8d8877", ring: "#8fa8a0",
  ringText: "#5d766e", tileAlpha: 1,
};
const NIGHT = {
  ground: "#12181d", line: "#28323a", fineLine: "#1b242b", faint: "#6c7a85", ring: "#3f5a58",
  ringText: "#86a5a0", tileAlpha: 0.7,
};

export class MapView {
  #root;
  #canvas;
  #context;
  #markers;
  #tiles = null;
  #size = { width: 1, height: 1 };
  #camera = { x: 0.5, y: 0.4, zoom: 3 };
  #journey = null; // {from, to, began}
  #follow = "everyone";
  #people = [];
  #placed = false; // it has shown a person
  #frame = 0;
  #drawnAt = 0;
  #dark = window.matchMedia("(prefers-color-scheme: dark)");
  #still = window.matchMedia("(prefers-reduced-motion: reduce)");
  #onFollow;

  /** `root` holds a canvas, `.markers` and `.scale`; `onFollow(what)` hears what is followed. */
  constructor(root, { tileUrl, onFollow }) {
    this.#root = root;
    this.#canvas = root.querySelector("canvas");
    this.#context = this.#canvas.getContext("2d");
    this.#onFollow = onFollow;
    this.#markers = new Markers(root.querySelector(".markers"), (userId) => this.follow(userId));
    if (tileUrl) this.#tiles = new Tiles(tileUrl, () => this.#invalidate());
    this.#dark.addEventListener("change", () => this.#invalidate());
    new ResizeObserver(() => this.#resize()).observe(root);
    attachGestures(root, {
      onPan: (dx, dy) => this.#take(panned(this.#camera, dx, dy), null),
      // Zooming while something is followed goes on following it, except for everyone.
      onZoom: (delta, about) => this.zoom(delta, about),
    });
    this.#resize();
  }

  /** Show these people (session.js, everyone). */
  show(people, now) {
    this.#people = people;
    this.#markers.show(people, now, this.#still.matches || document.hidden);
    this.#steer();
    this.#invalidate();
  }

  /** Follow `everyone`, `me`, a user_id, or nothing (null). */
  follow(what) {
    this.#follow = what;
    this.#onFollow(what);
    this.#steer(true);
  }

  /** Zoom by `delta` about a place of the screen, or about what is followed. */
  zoom(delta, about = { x: this.#size.width / 2, y: this.#size.height / 2 }) {
    const one = this.#follow !== null && this.#follow !== "everyone";
    const middle = { x: this.#size.width / 2, y: this.#size.height / 2 };
    this.#take(
      zoomed(this.#camera, this.#size, delta, one ? middle : about),
      one ? this.#follow : null,
    );
  }

  #take(camera, follow) {
    this.#camera = camera;
    this.#journey = null;
    if (follow !== this.#follow) {
      this.#follow = follow;
      this.#onFollow(follow);
    }
    this.#invalidate();
  }

  /** Set out for where the followed are, if the map does not show them. */
  #steer(asked = false) {
    const wanted = this.#wanted(asked);
    if (wanted === null) return;
    const far = scaleOf(this.#camera) * Math.hypot(wanted.x - this.#camera.x, wanted.y - this.#camera.y);
    if (!this.#placed || this.#still.matches || far > 8 * this.#size.width) {
      this.#camera = wanted;
      this.#journey = null;
      this.#placed = true;
    } else {
      this.#journey = { from: this.#camera, to: wanted, began: clock() };
    }
    this.#invalidate();
  }

  #wanted(asked) {
    const placed = this.#people.filter((each) => each.place !== null);
    if (this.#follow === "everyone") {
      const points = placed.map((each) => this.#markers.get(each.userId).to);
      const aim = this.#journey?.to ?? this.#camera;
      if (!asked && this.#placed && suits(aim, points, this.#size, PADDING)) return null;
      return fitted(points, this.#size, PADDING);
    }
    const one = placed.find((each) =>
      this.#follow === "me" ? each.isMe : each.userId === this.#follow,
    );
    if (one === undefined) return null;
    const point = this.#markers.get(one.userId).to;
    const zoom = asked ? Math.max(this.#camera.zoom, FIT_ZOOM - 1) : this.#camera.zoom;
    return { ...point, zoom: this.#journey?.to.zoom ?? zoom };
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.#root;
    if (width === 0 || height === 0) return;
    this.#size = { width, height };
    const ratio = Math.min(3, window.devicePixelRatio || 1);
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.#follow !== null) this.#steer(this.#follow === "everyone");
    this.#draw();
  }

  #invalidate() {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#tick());
  }

  #tick() {
    this.#frame = 0;
    const now = clock();
    if (this.#journey !== null) {
      const { from, to, began } = this.#journey;
      const share = Math.min(1, (now - began) / TRAVEL_MS);
      this.#camera = between(from, to, 1 - (1 - share) ** 3);
      if (share === 1) this.#journey = null;
    } else if (this.#anyMoving(now) && now - this.#drawnAt < CALM_FRAME_MS) {
      this.#invalidate();
      return;
    }
    this.#draw();
    if (this.#journey !== null || this.#anyMoving(now)) this.#invalidate();
  }

  #anyMoving(now) {
    for (const marker of this.#markers) if (marker.moving(now)) return true;
    return false;
  }

  #draw() {
    const now = clock();
    const theme = this.#dark.matches ? NIGHT : DAY;
    const own = [...this.#markers].find((marker) => marker.person.isMe);
    drawBackground(this.#context, this.#camera, this.#size, {
      theme,
      own: own === undefined ? null : unproject(own.where(now)),
      tiles: this.#tiles,
    });
    const markers = [...this.#markers];
    for (const marker of markers) {
      this.#drawTrail(marker, now);
      this.#drawAccuracy(marker, now);
    }
    const places = markers.map((marker) => this.#place(marker, now));
    readable(places).forEach((named, at) => markers[at].setNamed(named));
    this.#drawScale();
    this.#drawnAt = now;
  }

  #drawTrail(marker, now) {
    marker.trail = marker.trail.filter(({ at }) => now - at < RETENTION_MS);
    const context = this.#context;
    const here = { ...marker.where(now), at: now };
    // The newest point is where the marker is heading, not where it has been.
    const points = [...marker.trail.slice(0, -1), here];
    context.strokeStyle = marker.element.style.getPropertyValue("--color");
    context.lineWidth = 4;
    context.lineCap = "butt"; // round ends would overlap, and show where they do
    for (let i = 1; i < points.length; i += 1) {
      const [a, b] = [points[i - 1], points[i]].map((p) => toScreen(this.#camera, this.#size, p));
      context.globalAlpha = 0.55 * (1 - (now - points[i - 1].at) / RETENTION_MS);
      context.beginPath();
      context.moveTo(a.x, a.y);
      context.lineTo(b.x, b.y);
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  #drawAccuracy(marker, now) {
    const { accuracy, lat } = marker.person.place;
    if (accuracy === null) return; // unknown, which is not the same as exact
    const radius = (accuracy * scaleOf(this.#camera)) / metresPerUnit(lat);
    if (radius < 14 || radius > 5_000) return;
    const { x, y } = toScreen(this.#camera, this.#size, marker.where(now));
    const context = this.#context;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = context.strokeStyle = marker.element.style.getPropertyValue("--color");
    context.globalAlpha = 0.12 * marker.freshness(now);
    context.fill();
    context.globalAlpha = 0.4 * marker.freshness(now);
    context.lineWidth = 1;
    context.stroke();
    context.globalAlpha = 1;
  }

  #place(marker, now) {
    const { x, y } = toScreen(this.#camera, this.#size, marker.where(now));
    marker.element.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
    marker.element.style.zIndex = marker.person.isMe ? 100_000 : Math.max(0, Math.round(y));
    marker.element.style.opacity = marker.freshness(now).toFixed(2);
    const { width } = marker;
    const shift = inwards(x, width, this.#size.width);
    marker.name.style.setProperty("--shift", `${shift.toFixed(1)}px`);
    return { x, y, width, shift, first: marker.person.isMe, shown: marker.named };
  }

  #drawScale() {
    const { pixels, label } = scaleBar(this.#camera, SCALE_BAR_PX);
    const bar = this.#root.querySelector(".scale");
    bar.style.width = `${pixels.toFixed(0)}px`;
    if (bar.textContent !== label) bar.textContent = label;
  }
}
