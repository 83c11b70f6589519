/**
 * Where markers stand: people in one place as one stack, an opened stack as a fan, people outside as
 * arrows at the edge. Pure; pixels of the screen.
 */

import type { Box, Padding, Size } from "../core/camera";
import { edgeArrows } from "../core/edges";
import type { Point } from "../core/geo";
import { fan, type Stack, stacks } from "../core/spread";

export interface Placed extends Point {
  readonly userId: string;
}

/** A marker: of one person, or of a stack. */
export interface Spot extends Point {
  /** The same from one arrangement to the next: the user id of the first member, or one with a prefix. */
  readonly key: string;
  /** Indexes of the people. */
  readonly members: readonly number[];
  /** Whether it stands beside its true place, in a fan. */
  readonly isFanned: boolean;
}

export interface Fan extends Point {
  readonly radius: number;
}

export interface Arrangement {
  readonly spots: readonly Spot[];
  /** The middle of the open fan. */
  readonly fan: Fan | null;
}

export const stackKey = (userId: string): string => `stack:${userId}`;

/** Markers of a fan are this large, from their middle. */
const FAN_EDGE_PX = 34;

/**
 * `open`: who belonged to the stack that was opened; it stays open for those of them who are still in
 * one place. `together`: who was in a stack before, and tends to stay there. `alone`: who is in no
 * stack that is closed, to be seen.
 */
export function arrange(
  people: readonly Placed[],
  open: ReadonlySet<string>,
  together: (a: number, b: number) => boolean,
  alone: string | null = null,
): Arrangement {
  const whole = stacks(people, undefined, together);
  const isFanned = openStack(people, whole, open) !== null;
  const found = isFanned || alone === null ? whole : without(alone, people, whole);
  const opened = openStack(people, found, open);
  const spots: Spot[] = [];
  let fanned: Fan | null = null;
  for (const stack of found) {
    const { members } = stack;
    const [first] = members;
    const { userId } = people[first!]!;
    if (members.length === 1) {
      const { x, y } = people[first!]!;
      spots.push({ key: userId, members, x, y, isFanned: false });
    } else if (stack !== opened) {
      const key = stackKey(userId);
      spots.push({ key, members, x: stack.x, y: stack.y, isFanned: false });
    } else {
      const places = fan(members.length);
      let radius = 0;
      byDirection(members, people, stack, places).forEach((member, at) => {
        const { x, y } = places[at]!;
        radius = Math.max(radius, Math.hypot(x, y));
        const key = people[member]!.userId;
        spots.push({ key, members: [member], x: stack.x + x, y: stack.y + y, isFanned: true });
      });
      fanned = { x: stack.x, y: stack.y, radius: radius + FAN_EDGE_PX };
    }
  }
  return { spots, fan: fanned };
}

/** The stacks with one of the people beside the one that they belong to, as a stack of their own. */
function without(
  alone: string,
  people: readonly Placed[],
  whole: readonly Stack[],
): readonly Stack[] {
  const found: Stack[] = [];
  for (const stack of whole) {
    const rest = stack.members.filter((each) => people[each]!.userId !== alone);
    if (rest.length === stack.members.length || rest.length === 0) {
      found.push(stack);
      continue;
    }
    found.push({ ...stack, members: rest });
    found.push({ ...stack, members: stack.members.filter((each) => rest.indexOf(each) < 0) });
  }
  return found;
}

/** The stack that has most of those for whom one was opened, and two of them at least. */
function openStack<Each extends { readonly members: readonly number[] }>(
  people: readonly Placed[],
  found: readonly Each[],
  open: ReadonlySet<string>,
): Each | null {
  let best: Each | null = null;
  let most = 1;
  for (const stack of open.size === 0 ? [] : found) {
    const here = stack.members.filter((each) => open.has(people[each]!.userId)).length;
    if (here > most) {
      most = here;
      best = stack;
    }
  }
  return best;
}

/**
 * The members in the order of the places of the fan: those who stand apart by their direction, so that
 * lines cross less. In one and the same place the order is the one of the list, which does not flicker.
 */
function byDirection(
  members: readonly number[],
  people: readonly Placed[],
  middle: Point,
  places: readonly Point[],
): readonly number[] {
  const isOneRing = places.every(
    (each) => Math.abs(Math.hypot(each.x, each.y) - Math.hypot(places[0]!.x, places[0]!.y)) < 1,
  );
  const apart = members.some((each) => {
    const { x, y } = people[each]!;
    return Math.hypot(x - middle.x, y - middle.y) > 4;
  });
  if (!isOneRing || !apart) return members;
  const turn = ({ x, y }: Point): number => {
    const angle = Math.atan2(y - middle.y, x - middle.x) + Math.PI / 2; // from the top clockwise
    return (angle + 2 * Math.PI) % (2 * Math.PI);
  };
  return members
    .map((each) => ({ each, at: turn(people[each]!) }))
    .sort((a, b) => a.at - b.at)
    .map(({ each }) => each);
}

export interface Arrow extends Point {
  /** Of the first one. */
  readonly key: string;
  readonly members: readonly number[];
  /** Clockwise from the top, in degrees. */
  readonly angle: number;
}

/** Arrows nearer than this to each other are one, with a number. */
const ARROW_PX = 48;

/** What an arrow and its distance take, from its middle. */
const ARROW_EDGE_PX = 30;

/** From the middle of an arrow to the edge that it is at. */
const ARROW_INSET_PX = 34;
/** The scale and the credit, at the lower edge. */
const FOOT_PX = 20;

/**
 * Arrows to the people whom one does not see: outside of `size`, or beneath what covers a side of it or
 * the bottom. They stand at the edge of what `covered` and `island` leave, above the map's foot. (What
 * lies at the top are single things, between which there is map.)
 */
export function arrows(
  people: readonly Placed[],
  size: Size,
  covered: Padding,
  island: Box | null = null,
): readonly Arrow[] {
  const inset: Padding = {
    top: covered.top + ARROW_INSET_PX,
    right: covered.right + ARROW_INSET_PX,
    bottom: covered.bottom + ARROW_INSET_PX + FOOT_PX,
    left: covered.left + ARROW_INSET_PX,
  };
  const found = edgeArrows(people, size, inset, { ...covered, top: 0 }).map((each) => {
    if (island === null) return each;
    const isBeside =
      each.y > island.top - ARROW_EDGE_PX &&
      each.y < island.bottom + ARROW_EDGE_PX &&
      each.x > island.left - ARROW_EDGE_PX &&
      each.x < island.right + ARROW_EDGE_PX;
    if (!isBeside) return each;
    const isRight = island.left + island.right > size.width;
    return { ...each, x: isRight ? island.left - ARROW_EDGE_PX : island.right + ARROW_EDGE_PX };
  });
  return stacks(found, ARROW_PX).map((group) => {
    const all = group.members.map((each) => found[each]!);
    const [first] = all;
    return {
      key: people[first!.at]!.userId,
      members: all.map((each) => each.at),
      x: first!.x,
      y: first!.y,
      angle: first!.angle,
    };
  });
}

/** What an arrow takes with its distance, which stands above it in the lower half of the map. */
export function arrowBox({ x, y }: Point, size: Size): Box {
  const isLow = y > size.height / 2;
  return { left: x - 24, right: x + 24, top: y - (isLow ? 38 : 24), bottom: y + (isLow ? 24 : 38) };
}
