/**
 * People in one place: which markers form a stack, and where they stand when it fans out. Pure; all in
 * pixels of the screen.
 */

import type { Point } from "./geo";

/** Markers nearer than this cover each other. */
export const STACK_PX = 26;
/** Of a fan: between neighbours in a ring, and between rings. Many stand closer, to fit on a phone. */
const SPACING_PX = 46;
const FIRST_RING_PX = 52;
const MANY = 20;
const MANY_SPACING_PX = 40;

export interface Stack {
  /** Indexes of the points, in their order. */
  readonly members: readonly number[];
  /** The middle of them. */
  readonly x: number;
  readonly y: number;
}

/**
 * Group points that lie within `near` pixels of the first one of their group. `together` keeps a
 * stack from flickering: its members stay together up to one and a half times that distance.
 */
export function stacks(
  points: readonly Point[],
  near: number = STACK_PX,
  together: (a: number, b: number) => boolean = () => false,
): readonly Stack[] {
  const cells = new Map<string, number[]>(); // of groups, by the cell of their first point
  const groups: number[][] = [];
  const reach = near * 1.5;
  const cell = (value: number): number => Math.floor(value / reach);
  points.forEach((point, at) => {
    const [cx, cy] = [cell(point.x), cell(point.y)];
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let x = cx - 1; x <= cx + 1; x += 1) {
      for (let y = cy - 1; y <= cy + 1; y += 1) {
        for (const group of cells.get(`${x}:${y}`) ?? []) {
          const first = groups[group]![0]!;
          const far = Math.hypot(points[first]!.x - point.x, points[first]!.y - point.y);
          const limit = together(first, at) ? reach : near;
          if (far <= limit && far < least) {
            best = group;
            least = far;
          }
        }
      }
    }
    if (best >= 0) {
      groups[best]!.push(at);
      return;
    }
    const key = `${cx}:${cy}`;
    cells.set(key, [...(cells.get(key) ?? []), groups.length]);
    groups.push([at]);
  });
  return groups.map((members) => ({
    members,
    x: members.reduce((sum, each) => sum + points[each]!.x, 0) / members.length,
    y: members.reduce((sum, each) => sum + points[each]!.y, 0) / members.length,
  }));
}

/** Where `count` markers stand around the middle of their stack: rings, from the top clockwise. */
export function fan(count: number): readonly Point[] {
  const found: Point[] = [];
  const spacing = count > MANY ? MANY_SPACING_PX : SPACING_PX;
  for (let ring = 0; found.length < count; ring += 1) {
    const radius = FIRST_RING_PX + ring * spacing;
    const room = Math.max(3, Math.floor((2 * Math.PI * radius) / spacing));
    const here = Math.min(room, count - found.length);
    for (let i = 0; i < here; i += 1) {
      const angle = (2 * Math.PI * i) / here - Math.PI / 2 + (ring % 2 === 0 ? 0 : Math.PI / here);
      found.push({ x: radius * Math.cos(angle), y: radius * Math.sin(angle) });
    }
  }
  return found;
}
