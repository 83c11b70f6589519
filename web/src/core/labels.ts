/**
 * Which names on the map can be read: in a crowd some are left out, rather than all being a blot; at
 * the edge they move inwards, rather than being cut off. Pure.
 */

import type { Box } from "./camera";
import type { Point } from "./geo";

const DOT = 20; // the radius of what a marker covers
const TOP = 23; // from the middle of a marker to its name
const HEIGHT = 20;
const MARGIN = 4; // from a name to the edge of the map

export interface Labelled extends Point {
  /** Of the name, in pixels. */
  readonly width: number;
  /** By how much the name is moved sideways. */
  readonly shift: number;
  /** Before all others, whatever it covers. */
  readonly first: boolean;
  /** Seen now: it then tends to stay. */
  readonly shown: boolean;
}

/** For each marker whether its name is to be seen, clear of what `others` take. */
export function readable(markers: readonly Labelled[], others: readonly Box[] = []): boolean[] {
  const rank = (each: Labelled): number => (each.first ? 0 : each.shown ? 1 : 2);
  const order = markers.map((each, at) => ({ each, at }));
  order.sort((a, b) => rank(a.each) - rank(b.each) || a.at - b.at);
  const taken: Box[] = [...others];
  const result = markers.map(() => false);
  for (const { each, at } of order) {
    const name = box(each.x + each.shift - each.width / 2, each.y + TOP, each.width, HEIGHT);
    const free =
      taken.every((other) => !meet(name, other)) &&
      markers.every((other) => other === each || !covers(other, name));
    if (!free && !each.first) continue;
    taken.push(name);
    result[at] = true;
  }
  return result;
}

/**
 * By how many pixels a name moves sideways to stay on a map that is `room` wide. It never leaves its
 * marker, and so goes out of sight with it.
 */
export function inwards(x: number, width: number, room: number): number {
  const most = Math.max(0, width / 2 - DOT);
  const wanted = clamp(x, MARGIN + width / 2, room - MARGIN - width / 2) - x;
  return clamp(wanted, -most, most);
}

const box = (left: number, top: number, width: number, height: number): Box => ({
  left,
  top,
  right: left + width,
  bottom: top + height,
});

const covers = ({ x, y }: Point, name: Box): boolean =>
  Math.hypot(x - clamp(x, name.left, name.right), y - clamp(y, name.top, name.bottom)) < DOT;

const clamp = (value: number, low: number, high: number): number =>
  Math.max(low, Math.min(high, value));

const meet = (a: Box, b: Box): boolean =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
