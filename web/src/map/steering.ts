/**
 * Where the map goes by itself: to what it follows, when it does not show it well. Pure.
 * Points are of Web Mercator, times milliseconds.
 */

import type { Follow } from "../app/state";
import {
  type Box,
  between,
  type Camera,
  FIT_ZOOM,
  fitted,
  type Padding,
  type Size,
  scaleOf,
  suits,
  toScreen,
} from "../core/camera";
import { inGroup } from "../core/fit";
import { type Point, unproject, wrapped } from "../core/geo";

/** A person for whom there is a place. */
export interface Located {
  readonly userId: string;
  readonly isMe: boolean;
  readonly point: Point;
}

export interface View {
  readonly camera: Camera;
  readonly size: Size;
  /** What sheets and controls cover. */
  readonly covered: Padding;
}

/** Room for a marker and its name, inside of what is covered. */
const MARGIN: Padding = { top: 44, right: 48, bottom: 60, left: 48 };
/** The share of it that people may use before the map moves. */
const SLACK = 0.4;

/** What is covered, with the whole edge at which an island lies. */
export function coveredBy(padding: Padding, island: Box | null, size: Size): Padding {
  if (island === null) return padding;
  const isRight = island.left + island.right > size.width;
  if (isRight) return { ...padding, right: Math.max(padding.right, size.width - island.left) };
  return { ...padding, left: Math.max(padding.left, island.right) };
}

const inside = (covered: Padding, share: number): Padding => ({
  top: covered.top + MARGIN.top * share,
  right: covered.right + MARGIN.right * share,
  bottom: covered.bottom + MARGIN.bottom * share,
  left: covered.left + MARGIN.left * share,
});

/** Someone followed is brought back to the middle once they are this far from it. */
const DRIFT_PX = 40;
/** The least zoom at which one person is shown when the user asks for them. */
const CLOSE_ZOOM = FIT_ZOOM - 1;

/**
 * The camera for what is followed; null to stay. `asked`: by the user just now, who wants to see
 * something happen. `view.camera` is the one that the map is at, or on its way to.
 */
export function wanted(
  follow: Follow,
  people: readonly Located[],
  view: View,
  asked: boolean,
): Camera | null {
  const { camera, size, covered } = view;
  const padding = inside(covered, 1);
  if (follow.kind === "nobody") return null;
  if (follow.kind === "everyone") {
    const isNear = inGroup(people.map((each) => unproject(each.point)));
    const points = people.filter((_, at) => isNear[at]).map((each) => each.point);
    if (!asked && suits(camera, points, size, padding, inside(covered, 1 - SLACK))) return null;
    return fitted(points, size, padding);
  }
  const [one] = people.filter((each) =>
    follow.kind === "person" ? each.userId === follow.userId : each.isMe,
  );
  if (one === undefined) return null;
  const zoom = asked ? Math.max(camera.zoom, CLOSE_ZOOM) : camera.zoom;
  const aim = centred(one.point, zoom, covered);
  const scale = scaleOf(camera);
  const drift = Math.hypot(wrapped(aim.x - camera.x), aim.y - camera.y) * scale;
  return asked || drift > DRIFT_PX ? aim : null;
}

/** Whether a marker at `point` is to be seen, beside what is covered. */
export function shows({ camera, size, covered }: View, point: Point): boolean {
  const { x, y } = toScreen(camera, size, point);
  const { top, right, bottom, left } = inside(covered, 1 - SLACK);
  return x >= left && x <= size.width - right && y >= top && y <= size.height - bottom;
}

/** The camera that has `point` in the middle of what `padding` leaves free. */
export function centred(point: Point, zoom: number, padding: Padding): Camera {
  const scale = 256 * 2 ** zoom;
  return {
    x: wrapped(point.x - (padding.left - padding.right) / 2 / scale - 0.5) + 0.5,
    y: point.y - (padding.top - padding.bottom) / 2 / scale,
    zoom,
  };
}

/** A way from one camera to another. */
export interface Journey {
  readonly from: Camera;
  readonly to: Camera;
  readonly began: number;
  readonly duration: number;
  /** By how many levels it rises on the way, to show where it goes. */
  readonly rise: number;
}

const SHORT_MS = 450;
const LONG_MS = 1_100;

export function journey(from: Camera, to: Camera, size: Size, now: number): Journey {
  const zoom = Math.min(from.zoom, to.zoom);
  const far =
    (Math.hypot(wrapped(to.x - from.x), to.y - from.y) * 256 * 2 ** zoom) /
    Math.max(1, Math.min(size.width, size.height));
  // High enough that the whole way is on the screen about once.
  const rise = far > 1.5 ? Math.min(zoom, Math.log2(far)) : 0;
  const levels = Math.abs(to.zoom - from.zoom) + rise;
  const duration = Math.min(LONG_MS, SHORT_MS + levels * 90);
  return { from, to, began: now, duration, rise };
}

/** Where a journey is, and whether it has arrived. */
export function travelled(way: Journey, now: number): { camera: Camera; arrived: boolean } {
  const time = Math.max(0, Math.min(1, (now - way.began) / way.duration));
  if (time === 1) return { camera: way.to, arrived: true };
  const share = time < 0.5 ? 4 * time ** 3 : 1 - (2 - 2 * time) ** 3 / 2;
  if (way.rise === 0) return { camera: between(way.from, way.to, share), arrived: false };
  const hill = way.rise * (1 - (2 * share - 1) ** 2);
  const zoom = way.from.zoom + (way.to.zoom - way.from.zoom) * share - hill;
  // Pixels, not metres, at an even pace: where the map is small it covers more ground.
  const ground = rampOf(way, share);
  const flat = between(way.from, way.to, ground);
  return { camera: { ...flat, zoom }, arrived: false };
}

/** The share of the ground covered, when the pace is inverse to the scale: a smooth S. */
function rampOf({ from, to, rise }: Journey, share: number): number {
  const steps = 24;
  let all = 0;
  let part = 0;
  for (let i = 0; i < steps; i += 1) {
    const at = (i + 0.5) / steps;
    const zoom = from.zoom + (to.zoom - from.zoom) * at - rise * (1 - (2 * at - 1) ** 2);
    const pace = 2 ** -(zoom - Math.min(from.zoom, to.zoom));
    all += pace;
    part += pace * Math.max(0, Math.min(1, share * steps - i));
  }
  return part / all;
}

/** What is left of a speed in pixels per millisecond after a finger has let go. */
const HALF_LIFE_MS = 110;
const LEAST_PACE = 0.02;

export interface Coast {
  readonly vx: number;
  readonly vy: number;
  readonly began: number;
}

/** How far it has come by `now` since the start, in pixels, and whether it still moves. */
export function coasted({ vx, vy, began }: Coast, now: number): Point & { moving: boolean } {
  const left = 2 ** (-(now - began) / HALF_LIFE_MS);
  const way = (HALF_LIFE_MS / Math.LN2) * (1 - left);
  return { x: vx * way, y: vy * way, moving: Math.hypot(vx, vy) * left > LEAST_PACE };
}
