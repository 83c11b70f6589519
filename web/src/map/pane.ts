/**
 * The pane of markers: plain elements above the ground. While the map is dragged the pane as a whole is
 * moved by one transform; what has to be thought about anew (stacks, names, arrows) waits until there
 * is time. Positions are in pixels of the pane, whose origin is the screen's when `anchor` was taken.
 */

import { type Box, type Camera, type Size, scaleOf, toScreen } from "../core/camera";
import { agoText, distanceText } from "../core/format";
import { freshness, opacity } from "../core/freshness";
import { distance, metresPerUnit, type Place, type Point, project, unproject } from "../core/geo";
import { type Glide, glideTo, isMoving, placeAt, resting } from "../core/glide";
import { kept } from "../core/kept";
import { inwards, readable } from "../core/labels";
import { asName, initials, inkOn, safeColor, tagText } from "../core/names";
import type { Person, Position } from "../core/session";
import { type Arrangement, arrange, arrowBox, arrows, type Placed } from "./layout";
import { ArrowMarker, FanLines, PersonMarker, StackMarker } from "./marker";
import type { Located } from "./steering";
import type { MapOptions } from "./surface";

/** A circle smaller than the marker is not seen, one much larger than the screen says nothing. */
const LEAST_CIRCLE_PX = 22;
const MOST_CIRCLE_PX = 2_000;
const NAME_FONT = "600 12px system-ui, sans-serif";
const NOTE_FONT = "500 11px system-ui, sans-serif";
const NAME_PADDING_PX = 14;
const MOST_NAME_PX = 168;
const MOST_MEASURED = 400;

interface Entry {
  person: Person & { readonly place: Position };
  readonly marker: PersonMarker;
  glide: Glide;
  heard: number;
  color: string;
  /** Of the name, which takes apart what people take for one character: once, not for each picture. */
  name: string;
  tag: string;
  initials: string;
  note: string;
  opacity: number;
  stack: string;
  isNamed: boolean;
}

export interface PaneEvents {
  onPerson(userId: string): void;
  onStack(userIds: readonly string[]): void;
  /** An arrow was pressed, which may stand for several people. */
  onArrows(userIds: readonly string[]): void;
}

type PaneOptions = Pick<MapOptions, "units" | "t" | "padding" | "island">;

export class MarkerPane {
  readonly element: HTMLElement;
  private readonly moving: HTMLElement;
  private readonly edge: HTMLElement;
  private readonly fanLines = new FanLines();
  private readonly events: PaneEvents;
  private readonly entries = new Map<string, Entry>();
  private readonly stackMarkers = new Map<string, StackMarker>();
  private readonly arrowMarkers = new Map<string, ArrowMarker>();
  private readonly arrowMembers = new Map<string, readonly string[]>();
  private readonly stackNamed = new Map<string, boolean>();
  private options: PaneOptions;
  private order: readonly Entry[] = [];
  /** `order` as it was when `arrangement` was made, whose indexes are of it. */
  private arranged: readonly Entry[] = [];
  private arrangement: Arrangement = { spots: [], fan: null };
  private open: ReadonlySet<string> = new Set();
  private hasFan = false;
  private selected: string | null = null;
  private anchor: Camera = { x: 0.5, y: 0.5, zoom: 1 };
  private camera: Camera = this.anchor;
  private size: Size = { width: 0, height: 0 };
  private shift: Point = { x: 0, y: 0 };

  constructor(options: PaneOptions, events: PaneEvents) {
    this.options = options;
    this.events = events;
    this.element = document.createElement("div");
    this.element.className = "map-pane";
    // The list of people says all of it in words.
    this.element.setAttribute("aria-hidden", "true");
    this.moving = this.element.appendChild(document.createElement("div"));
    this.moving.className = "map-markers";
    this.moving.appendChild(this.fanLines.element);
    this.edge = this.element.appendChild(document.createElement("div"));
    this.edge.className = "map-edge";
    this.element.addEventListener("click", (event) => this.clicked(event));
  }

  /** Everyone with a place, as steering.ts takes them: where they are on their way to. */
  get located(): readonly Located[] {
    return this.order.map(({ person, glide }) => ({
      userId: person.userId,
      isMe: person.isMe,
      point: glide.to,
    }));
  }

  /** This device's place, where its marker is. */
  ownPlace(now: number): Place | null {
    const own = this.order.filter((each) => each.person.isMe)[0];
    return own === undefined ? null : unproject(placeAt(own.glide, now));
  }

  setOptions(options: PaneOptions): void {
    this.options = options;
  }

  select(userId: string | null): void {
    for (const id of [this.selected, userId]) {
      if (id !== null) this.entries.get(id)?.marker.mark("is-selected", id === userId);
    }
    this.selected = userId;
  }

  /** Who they are, and where they are on their way to. `isStill`: there at once. */
  show(people: readonly Person[], now: number, isStill: boolean): void {
    const gone = new Set(this.entries.keys());
    const order: Entry[] = [];
    for (const person of people) {
      const { place } = person;
      if (place === null) continue;
      gone.delete(person.userId);
      const entry = this.entries.get(person.userId) ?? this.added(person.userId, person, place);
      entry.person = { ...person, place };
      if (place.heard !== entry.heard) {
        const since = place.heard - entry.heard;
        entry.glide = glideTo(entry.glide, project(place), now, since, isStill);
        entry.heard = place.heard;
      }
      this.dress(entry, now);
      order.push(entry);
    }
    gone.forEach((userId) => {
      this.entries.get(userId)?.marker.element.remove();
      this.entries.delete(userId);
    });
    this.order = order;
  }

  /** The same people, older. Whether one of them looks different now. */
  age(now: number): boolean {
    let isChanged = false;
    for (const entry of this.order) {
      const { note, opacity } = entry;
      this.dress(entry, now);
      if (entry.note !== note || entry.opacity !== opacity) isChanged = true;
    }
    return isChanged;
  }

  isGliding(now: number): boolean {
    return this.order.some((each) => isMoving(each.glide, now));
  }

  /**
   * The camera has moved. A pan of moderate length is one transform; otherwise every marker is put
   * where it belongs, as it was arranged last.
   */
  move(camera: Camera, size: Size, now: number): void {
    const isPan =
      camera.zoom === this.anchor.zoom &&
      size.width === this.size.width &&
      size.height === this.size.height;
    this.camera = camera;
    this.size = size;
    if (isPan) {
      const at = toScreen(camera, size, this.anchor);
      const shift = { x: at.x - size.width / 2, y: at.y - size.height / 2 };
      // Beyond that another repetition of the world may be the nearer one.
      if (Math.abs(shift.x) < size.width && Math.abs(shift.y) < 4 * size.height) {
        this.shift = shift;
        this.moving.style.transform = `translate3d(${shift.x.toFixed(2)}px,${shift.y.toFixed(2)}px,0)`;
        return;
      }
    }
    this.anchor = camera;
    this.shift = { x: 0, y: 0 };
    this.moving.style.transform = "translate3d(0,0,0)";
    this.place(now, true);
  }

  /** Put those who glide where they are now. */
  glide(now: number): void {
    this.place(now, false);
  }

  /** Think about stacks, names and arrows. */
  layout(now: number): void {
    const points = this.order.map((each) => this.pointOf(each, now));
    const stackOf = this.order.map((each) => each.stack);
    this.arranged = this.order;
    this.arrangement = arrange(
      points,
      this.open,
      (a, b) => stackOf[a] !== "" && stackOf[a] === stackOf[b],
      this.selected,
    );
    if (this.arrangement.fan === null) this.open = new Set();
    this.order.forEach((each) => {
      each.stack = "";
    });
    this.syncStacks();
    this.place(now, true);
    const taken = this.point(points);
    if (this.options.island !== null) taken.push(this.options.island);
    this.nameThem(points, taken);
  }

  /** Where the middle of the open fan is on the screen, and how large it is. */
  get fan(): (Point & { readonly radius: number }) | null {
    const { fan } = this.arrangement;
    return fan && { x: fan.x + this.shift.x, y: fan.y + this.shift.y, radius: fan.radius };
  }

  openStack(userIds: readonly string[]): void {
    this.open = new Set(userIds);
  }

  /** Whether there was one. */
  closeStack(): boolean {
    if (this.open.size === 0) return false;
    this.open = new Set();
    return true;
  }

  destroy(): void {
    this.element.remove();
    this.entries.clear();
  }

  private added(userId: string, person: Person, place: Position): Entry {
    const marker = new PersonMarker(userId);
    marker.mark("is-selected", userId === this.selected);
    const entry: Entry = {
      person: { ...person, place },
      marker,
      glide: resting(project(place)),
      heard: place.heard,
      color: "",
      name: "",
      tag: "",
      initials: "",
      note: "",
      opacity: 1,
      stack: "",
      isNamed: true,
    };
    this.entries.set(userId, entry);
    this.moving.appendChild(marker.element);
    return entry;
  }

  private dress(entry: Entry, now: number): void {
    const { person, marker } = entry;
    const age = now - person.place.at;
    const isOld = freshness(age) === "old";
    entry.color = safeColor(person.color);
    if (entry.name !== person.name || entry.tag === "") {
      entry.name = person.name;
      entry.tag = tagText(person.name);
      entry.initials = initials(person.name);
    }
    entry.note = this.noteOf(person, age);
    entry.opacity = Math.round(opacity(age) * 20) / 20;
    marker.set({
      initials: entry.initials,
      color: entry.color,
      ink: inkOn(entry.color),
      name: this.stackText([entry]),
      note: entry.note,
      opacity: entry.opacity,
      heading: isOld ? null : person.place.heading,
      isMe: person.isMe,
      isOld,
    });
  }

  private noteOf(person: Person, age: number): string {
    const { t } = this.options;
    if (freshness(age) !== "old") return "";
    if (person.state !== "active" && person.online) return t(`person.${person.state}`);
    return agoText(t, age);
  }

  private pointOf({ person, glide }: Entry, now: number): Placed {
    const { x, y } = toScreen(this.anchor, this.size, placeAt(glide, now));
    return { userId: person.userId, x, y };
  }

  /** Make the markers of stacks what the arrangement says. */
  private syncStacks(): void {
    const gone = new Set(this.stackMarkers.keys());
    for (const { key, members } of this.arrangement.spots) {
      if (members.length < 2) continue;
      gone.delete(key);
      let marker = this.stackMarkers.get(key);
      if (marker === undefined) {
        marker = new StackMarker(key);
        this.stackMarkers.set(key, marker);
        this.moving.appendChild(marker.element);
      }
      const all = members.map((each) => this.order[each]!);
      for (const each of all) each.stack = key;
      const colors = all.slice(0, 3).map((each) => each.color);
      const isMine = all[0]!.person.isMe;
      const strongest = Math.max(...all.map((each) => each.opacity));
      marker.set(all.length, colors, strongest, isMine);
      marker.tag.set(this.stackText(all), "");
    }
    gone.forEach((key) => {
      this.stackMarkers.get(key)!.element.remove();
      this.stackMarkers.delete(key);
      this.stackNamed.delete(key);
    });
  }

  /** Put all markers in their places, or only those that glide. */
  private place(now: number, all: boolean): void {
    const { spots, fan } = this.arrangement;
    const perUnit = scaleOf(this.anchor);
    const ends: { from: Point; to: Point; color: string }[] = [];
    let middle: Point | null = null;
    for (const spot of spots) {
      const members = spot.members.map((each) => this.arranged[each]).filter(isThere);
      const moves = all || spot.isFanned || members.some((each) => isMoving(each.glide, now));
      const [first] = members;
      if (!moves || first === undefined) continue;
      if (members.length > 1) {
        const points = members.map((each) => this.pointOf(each, now));
        const at = {
          x: points.reduce((sum, each) => sum + each.x, 0) / points.length,
          y: points.reduce((sum, each) => sum + each.y, 0) / points.length,
        };
        this.stackMarkers.get(spot.key)?.move(at);
        for (const each of members) each.marker.hide(true);
        continue;
      }
      const { marker, person } = first;
      marker.mark("is-fanned", spot.isFanned);
      const point = this.pointOf(first, now);
      if (spot.isFanned && fan !== null) {
        middle ??= this.fanMiddle(now);
        const to = { x: spot.x - fan.x + middle.x, y: spot.y - fan.y + middle.y };
        ends.push({ from: point, to, color: first.color });
        marker.move(to);
      } else if (all && !this.isNear(point)) {
        marker.hide(true); // a pane as large as the world costs memory
        continue;
      } else marker.move(point);
      marker.hide(false);
      const { accuracy, lat } = person.place;
      const radius = accuracy === null ? 0 : (accuracy * perUnit) / metresPerUnit(lat);
      const isSeen = radius >= LEAST_CIRCLE_PX && radius <= MOST_CIRCLE_PX && !spot.isFanned;
      marker.setAccuracy(isSeen ? radius : 0);
    }
    if ((fan !== null) !== this.hasFan) {
      this.hasFan = fan !== null;
      this.moving.classList[this.hasFan ? "add" : "remove"]("has-fan");
    }
    this.fanLines.set(fan && { ...(middle ?? fan), radius: fan.radius }, ends);
  }

  private fanMiddle(now: number): Point {
    const points = this.arrangement.spots
      .filter((each) => each.isFanned)
      .map((each) => this.arranged[each.members[0]!])
      .filter(isThere)
      .map((each) => this.pointOf(each, now));
    return {
      x: points.reduce((sum, each) => sum + each.x, 0) / points.length,
      y: points.reduce((sum, each) => sum + each.y, 0) / points.length,
    };
  }

  /** On the screen, or where a drag brings it before the next layout. */
  private isNear({ x, y }: Point): boolean {
    const { width, height } = this.size;
    const [left, top] = [x + this.shift.x, y + this.shift.y];
    return left > -width && left < 2 * width && top > -height && top < 2 * height;
  }

  /** What stands below a marker: a name, two names, or how many they are. */
  private stackText(members: readonly Entry[]): string {
    const { t } = this.options;
    const named = (each: Entry): string => (each.person.isMe ? t("map.you") : asName(t, each.tag));
    const n = members.length;
    if (n <= 2) return members.map(named).join(", ");
    return members[0]!.person.isMe ? t("map.you_and", { n: n - 1 }) : t("map.people", { n });
  }

  private nameThem(points: readonly Placed[], taken: readonly Box[]): void {
    const { spots } = this.arrangement;
    const tags = spots.map((spot) => {
      const entry = this.arranged[spot.members[0]!]!;
      const isStack = spot.members.length > 1;
      const at = spot.isFanned || isStack ? spot : points[spot.members[0]!]!;
      const { isMe } = entry.person;
      const text = this.stackText(spot.members.map((each) => this.arranged[each]!));
      const width = nameWidth(text, isStack ? "" : entry.note);
      const x = at.x + this.shift.x;
      const y = at.y + this.shift.y;
      return {
        x,
        y,
        width,
        shift: inwards(x, width, this.size.width),
        first: entry.person.userId === this.selected,
        shown: isMe || (isStack ? this.stackNamed.get(spot.key) === true : entry.isNamed),
      };
    });
    readable(tags, taken).forEach((isShown, at) => {
      const spot = spots[at]!;
      const { shift } = tags[at]!;
      if (spot.members.length > 1) {
        this.stackNamed.set(spot.key, isShown);
        this.stackMarkers.get(spot.key)?.tag.place(isShown, shift);
        return;
      }
      const entry = this.arranged[spot.members[0]!]!;
      entry.isNamed = isShown;
      entry.marker.tag.place(isShown, shift);
    });
  }

  /** Arrows to those who are outside. Returns what they take. */
  private point(points: readonly Placed[]): Box[] {
    const { t, units, padding, island } = this.options;
    const taken: Box[] = [];
    const onScreen = points.map((each) => ({
      userId: each.userId,
      x: each.x + this.shift.x,
      y: each.y + this.shift.y,
    }));
    const own = this.order.filter((each) => each.person.isMe)[0];
    const here = own?.person.place ?? unproject(this.camera);
    const gone = new Set(this.arrowMarkers.keys());
    for (const arrow of arrows(onScreen, this.size, padding, island)) {
      taken.push(arrowBox(arrow, this.size));
      gone.delete(arrow.key);
      let marker = this.arrowMarkers.get(arrow.key);
      if (marker === undefined) {
        marker = new ArrowMarker(arrow.key);
        this.arrowMarkers.set(arrow.key, marker);
        this.edge.appendChild(marker.element);
      }
      const all = arrow.members.map((each) => this.order[each]!);
      this.arrowMembers.set(
        arrow.key,
        all.map((each) => each.person.userId),
      );
      const [first] = all;
      const nearest = Math.min(...all.map((each) => distance(here, each.person.place)));
      const text = all.length > 1 ? String(all.length) : first!.initials;
      const far = first!.person.isMe ? t("map.you") : distanceText(t, nearest, units);
      marker.set(text, far, first!.color, inkOn(first!.color), first!.opacity);
      marker.mark("is-many", all.length > 1);
      marker.move(arrow);
      marker.turn(arrow.angle, arrow.y > this.size.height / 2);
    }
    gone.forEach((key) => {
      this.arrowMarkers.get(key)!.element.remove();
      this.arrowMarkers.delete(key);
      this.arrowMembers.delete(key);
    });
    return taken;
  }

  private clicked(event: Event): void {
    const found = (event.target as Element).closest("[data-user],[data-stack],[data-arrow]");
    if (found === null) return;
    const userId = found.getAttribute("data-user");
    const stack = found.getAttribute("data-stack");
    const members = this.arrowMembers.get(found.getAttribute("data-arrow") ?? "") ?? [];
    if (userId !== null) this.events.onPerson(userId);
    else if (stack !== null) {
      const inside = this.order.filter((each) => each.stack === stack);
      this.events.onStack(inside.map((each) => each.person.userId));
    } else if (members.length > 0) this.events.onArrows(members);
  }
}

const isThere = (entry: Entry | undefined): entry is Entry => entry !== undefined;

let measuring: CanvasRenderingContext2D | null | undefined;

/** How wide a text is. On a canvas: reading it from the page would lay the page out each time. */
const widthIn = (font: string): ((text: string) => number) =>
  kept(MOST_MEASURED, (text) => {
    if (measuring === undefined) measuring = document.createElement("canvas").getContext("2d");
    if (measuring === null) return 7 * text.length;
    measuring.font = font;
    return measuring.measureText(text).width;
  });
const ofName = widthIn(NAME_FONT);
const ofNote = widthIn(NOTE_FONT);

function nameWidth(text: string, note: string): number {
  const width = ofName(text) + (note === "" ? 0 : ofNote(` · ${note}`));
  return Math.min(MOST_NAME_PX, Math.ceil(width) + NAME_PADDING_PX);
}
