/**
 * The elements of the markers. Each writes to the page only what has changed, since a write costs a
 * recalculation of style even when it changes nothing. Names are set as text and isolated, whatever is
 * in them.
 */

import type { Point } from "../core/geo";

/** An element that stands somewhere, moved by a transform. */
class Standing {
  readonly element: HTMLElement;
  private transform = "";
  private classes = new Set<string>();
  private isHidden = false;

  constructor(className: string) {
    this.element = document.createElement("div");
    this.element.className = className;
  }

  move({ x, y }: Point): void {
    const transform = `translate(${x.toFixed(1)}px,${y.toFixed(1)}px)`;
    if (transform === this.transform) return;
    this.transform = transform;
    this.element.style.transform = transform;
  }

  mark(name: string, isMarked: boolean): void {
    if (isMarked === this.classes.has(name)) return;
    if (isMarked) this.classes.add(name);
    else this.classes.delete(name);
    this.element.classList[isMarked ? "add" : "remove"](name);
  }

  hide(isHidden: boolean): void {
    if (isHidden === this.isHidden) return;
    this.isHidden = isHidden;
    this.element.style.display = isHidden ? "none" : "";
  }
}

/** What a marker shows beside its place. */
export interface Look {
  readonly initials: string;
  readonly color: string;
  readonly ink: string;
  readonly name: string;
  /** Beside the name: an age, or why there is no newer place. */
  readonly note: string;
  readonly opacity: number;
  /** Degrees; null when unknown, or of no use any more. */
  readonly heading: number | null;
  readonly isMe: boolean;
  readonly isOld: boolean;
}

/** A name below a marker. */
class NameTag {
  readonly element = part("span", "mk-name");
  private readonly who = part("bdi", "");
  private readonly more = part("small", "");
  private text = "";
  private note = "";
  private shift = "";
  private isShown = true;

  constructor() {
    this.element.appendChild(this.who);
    this.element.appendChild(this.more);
  }

  set(text: string, note: string): void {
    if (text !== this.text) this.who.textContent = this.text = text;
    if (note === this.note) return;
    this.note = note;
    this.more.textContent = note === "" ? "" : ` · ${note}`;
  }

  place(isShown: boolean, shift: number): void {
    if (isShown !== this.isShown) {
      this.isShown = isShown;
      this.element.classList[isShown ? "remove" : "add"]("is-crowded");
    }
    const moved = shift === 0 ? "" : `translateX(-50%) translateX(${shift.toFixed(0)}px)`;
    if (moved === this.shift) return;
    this.shift = moved;
    this.element.style.transform = moved;
  }
}

export class PersonMarker extends Standing {
  readonly tag = new NameTag();
  private readonly body = part("div", "mk-body");
  private readonly heading = part("i", "mk-heading");
  private readonly dot = part("b", "mk-dot");
  private readonly accuracy = part("i", "mk-accuracy");
  private look: Look | null = null;
  private radius = -1;

  constructor(userId: string) {
    super("mk");
    this.element.setAttribute("data-user", userId);
    this.accuracy.style.display = this.heading.style.display = "none";
    this.body.appendChild(this.heading);
    this.body.appendChild(this.dot);
    for (const each of [this.accuracy, this.body, this.tag.element]) this.element.appendChild(each);
  }

  set(look: Look): void {
    const before = this.look;
    this.look = look;
    this.tag.set(look.name, look.note);
    if (before?.initials !== look.initials) this.dot.textContent = look.initials;
    if (before?.color !== look.color) {
      this.element.style.setProperty("--color", look.color);
      this.element.style.setProperty("--ink", look.ink);
    }
    if (before?.opacity !== look.opacity) this.body.style.opacity = look.opacity.toFixed(2);
    this.mark("is-me", look.isMe);
    this.mark("is-old", look.isOld);
    if (before?.heading === look.heading) return;
    this.heading.style.display = look.heading === null ? "none" : "";
    if (look.heading !== null) this.heading.style.transform = `rotate(${look.heading}deg)`;
  }

  /** The radius of the circle in pixels; 0 for none. */
  setAccuracy(radius: number): void {
    const rounded = Math.round(radius);
    if (rounded === this.radius) return;
    const [was, is] = [this.radius > 0, rounded > 0];
    this.radius = rounded;
    if (was !== is) this.accuracy.style.display = is ? "" : "none";
    if (!is) return;
    const { style } = this.accuracy;
    style.width = style.height = `${2 * rounded}px`;
    style.left = style.top = `${-rounded}px`;
  }
}

export class StackMarker extends Standing {
  readonly tag = new NameTag();
  private readonly body = part("div", "mk-body");
  private readonly count = part("b", "mk-count");
  private readonly backs = [part("i", "mk-back"), part("i", "mk-back")];
  private text = "";
  private colors = "";
  private opacity = -1;

  constructor(key: string) {
    super("mk mk-stack");
    this.element.setAttribute("data-stack", key);
    for (const each of [...this.backs, this.count]) this.body.appendChild(each);
    for (const each of [this.body, this.tag.element]) this.element.appendChild(each);
  }

  /** `colors`: of its first members. */
  set(count: number, colors: readonly string[], opacity: number, isMine: boolean): void {
    const text = String(count);
    if (text !== this.text) this.count.textContent = this.text = text;
    const joined = colors.join();
    if (joined !== this.colors) {
      this.colors = joined;
      this.element.style.setProperty("--color", colors[0] ?? "");
      this.backs.forEach((each, at) => {
        each.style.backgroundColor = colors[at + 1] ?? colors[0] ?? "";
      });
    }
    if (opacity !== this.opacity) {
      this.opacity = opacity;
      this.body.style.opacity = opacity.toFixed(2);
    }
    this.mark("is-me", isMine);
    this.mark("is-two", count === 2);
  }
}

export class ArrowMarker extends Standing {
  private readonly pointer = part("i", "ar-pointer");
  private readonly dot = part("b", "ar-dot");
  private readonly far = part("span", "ar-far");
  private shown = "";
  private angle = Number.NaN;

  constructor(key: string) {
    super("ar");
    this.element.setAttribute("data-arrow", key);
    for (const each of [this.pointer, this.dot, this.far]) this.element.appendChild(each);
  }

  set(text: string, far: string, color: string, ink: string, opacity: number): void {
    const shown = [text, far, color, opacity].join("\u0000");
    if (shown === this.shown) return;
    this.shown = shown;
    this.dot.textContent = text;
    this.far.textContent = far;
    this.element.style.setProperty("--color", color);
    this.element.style.setProperty("--ink", ink);
    this.dot.style.opacity = opacity.toFixed(2);
  }

  /** `isLow`: at the lower edge, where its distance stands above it. */
  turn(angle: number, isLow: boolean): void {
    this.mark("is-low", isLow);
    if (Math.abs(angle - this.angle) < 0.5) return;
    this.angle = angle;
    this.pointer.style.transform = `rotate(${angle.toFixed(0)}deg)`;
  }
}

const SVG = "http://www.w3.org/2000/svg";

/** The lines from a fan to the true places, and the ground under it. */
export class FanLines {
  readonly element = document.createElementNS(SVG, "svg");
  private readonly ground = document.createElementNS(SVG, "circle");
  private readonly lines: { line: Element; dot: Element }[] = [];
  private isShown = false;

  constructor() {
    this.element.setAttribute("class", "fan");
    this.ground.setAttribute("class", "fan-ground");
    this.element.appendChild(this.ground);
    this.element.style.display = "none";
  }

  set(
    middle: (Point & { readonly radius: number }) | null,
    ends: readonly { readonly from: Point; readonly to: Point; readonly color: string }[],
  ): void {
    const isShown = middle !== null;
    if (isShown !== this.isShown) this.element.style.display = isShown ? "" : "none";
    this.isShown = isShown;
    if (middle === null) return;
    put(this.ground, { cx: middle.x, cy: middle.y, r: middle.radius });
    while (this.lines.length < ends.length) {
      const line = document.createElementNS(SVG, "line");
      const dot = document.createElementNS(SVG, "circle");
      dot.setAttribute("r", "3.5");
      this.element.appendChild(line);
      this.element.appendChild(dot);
      this.lines.push({ line, dot });
    }
    this.lines.forEach(({ line, dot }, at) => {
      const end = ends[at];
      line.setAttribute("visibility", end === undefined ? "hidden" : "visible");
      dot.setAttribute("visibility", end === undefined ? "hidden" : "visible");
      if (end === undefined) return;
      put(line, { x1: end.from.x, y1: end.from.y, x2: end.to.x, y2: end.to.y });
      put(dot, { cx: end.from.x, cy: end.from.y });
      line.setAttribute("stroke", end.color);
      dot.setAttribute("fill", end.color);
    });
  }
}

function put(element: Element, values: { readonly [name: string]: number }): void {
  for (const name of Object.keys(values)) element.setAttribute(name, values[name]!.toFixed(1));
}

function part(tag: string, className: string): HTMLElement {
  const element = document.createElement(tag);
  if (className !== "") element.className = className;
  return element;
}
