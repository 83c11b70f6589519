/** Arrows at the edge of the map, towards people who are outside of it. Pure; pixels of the screen. */

import type { Padding, Size } from "./camera";
import type { Point } from "./geo";

export interface EdgeArrow {
  /** Index of the point. */
  readonly at: number;
  readonly x: number;
  readonly y: number;
  /** Clockwise from the top, in degrees. */
  readonly angle: number;
}

/** How far outside a point has to be: a marker that is half seen needs no arrow. */
const SLACK_PX = 12;
const NOTHING: Padding = { top: 0, right: 0, bottom: 0, left: 0 };

/**
 * The arrow for each point that is outside of `size` or beneath what is `covered`, where the line to it
 * leaves the area within `padding`.
 */
export function edgeArrows(
  points: readonly Point[],
  size: Size,
  padding: Padding,
  covered: Padding = NOTHING,
): readonly EdgeArrow[] {
  const left = padding.left;
  const right = Math.max(left + 1, size.width - padding.right);
  const top = padding.top;
  const bottom = Math.max(top + 1, size.height - padding.bottom);
  const middle = { x: (left + right) / 2, y: (top + bottom) / 2 };
  const found: EdgeArrow[] = [];
  points.forEach(({ x, y }, at) => {
    const outside =
      x < covered.left - SLACK_PX ||
      y < covered.top - SLACK_PX ||
      x > size.width - covered.right + SLACK_PX ||
      y > size.height - covered.bottom + SLACK_PX;
    if (!outside) return;
    const dx = x - middle.x;
    const dy = y - middle.y;
    const across = dx === 0 ? Number.POSITIVE_INFINITY : (right - left) / 2 / Math.abs(dx);
    const along = dy === 0 ? Number.POSITIVE_INFINITY : (bottom - top) / 2 / Math.abs(dy);
    const share = Math.min(1, across, along);
    const angle = (Math.atan2(dx, -dy) * 180) / Math.PI;
    found.push({
      at,
      x: middle.x + dx * share,
      y: middle.y + dy * share,
      angle: (angle + 360) % 360,
    });
  });
  return found;
}
