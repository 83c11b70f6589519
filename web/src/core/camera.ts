/**
 * Which part of the world the map shows. Pure.
 *
 * A camera is `{x, y, zoom}`: the point in the middle (Web Mercator, see geo.js) and the zoom, at
 * which the world is 256 × 2^zoom CSS pixels wide. A size is `{width, height}` in CSS pixels.
 */

import { type Point, wrapped } from "./geo";

export interface Camera extends Point {
  readonly zoom: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Pixels on each side that what is shown keeps clear of. */
export interface Padding {
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly left: number;
}

/** A part of the screen, from its left upper corner. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export const MIN_ZOOM = 0.5;
export const MAX_ZOOM = 20;
/** The maximum zoom of fitting: one person alone is shown with the streets around. */
export const FIT_ZOOM = 17;

/** CSS pixels per unit of the map. */
export const scaleOf = (camera: Camera): number => 256 * 2 ** camera.zoom;

const clamp = (value: number, low: number, high: number): number =>
  Math.max(low, Math.min(high, value));

/** Where a point is on the screen: the nearest of its repetitions round the world. */
export function toScreen(camera: Camera, size: Size, point: Point): Point {
  const scale = scaleOf(camera);
  return {
    x: size.width / 2 + wrapped(point.x - camera.x) * scale,
    y: size.height / 2 + (point.y - camera.y) * scale,
  };
}

/** Which point is at a place of the screen. */
export function toPoint(camera: Camera, size: Size, { x, y }: Point): Point {
  const scale = scaleOf(camera);
  return {
    x: camera.x + (x - size.width / 2) / scale,
    y: camera.y + (y - size.height / 2) / scale,
  };
}

/** The camera after the map was dragged by a number of pixels. */
export function panned(camera: Camera, dx: number, dy: number): Camera {
  const scale = scaleOf(camera);
  return normal({ ...camera, x: camera.x - dx / scale, y: camera.y - dy / scale });
}

/** The camera after zooming by `delta` about a place of the screen, whose point stays there. */
export function zoomed(camera: Camera, size: Size, delta: number, about: Point): Camera {
  const zoom = clamp(camera.zoom + delta, MIN_ZOOM, MAX_ZOOM);
  const fixed = toPoint(camera, size, about);
  const scale = 256 * 2 ** zoom;
  return normal({
    x: fixed.x - (about.x - size.width / 2) / scale,
    y: fixed.y - (about.y - size.height / 2) / scale,
    zoom,
  });
}

/**
 * The camera that shows all points inside `padding` `{top, right, bottom, left}`; null without
 * points. Across the date line the shorter way round is shown.
 */
export function fitted(points: readonly Point[], size: Size, padding: Padding): Camera | null {
  const [first] = points;
  if (first === undefined) return null;
  const xs = points.map((point) => first.x + wrapped(point.x - first.x));
  const ys = points.map((point) => point.y);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  const width = Math.max(40, size.width - padding.left - padding.right);
  const height = Math.max(40, size.height - padding.top - padding.bottom);
  const across = Math.max((right - left) / width, (bottom - top) / height);
  const zoom = across > 0 ? clamp(Math.log2(1 / (256 * across)), MIN_ZOOM, FIT_ZOOM) : FIT_ZOOM;
  const scale = 256 * 2 ** zoom;
  return normal({
    x: (left + right) / 2 - (padding.left - padding.right) / 2 / scale,
    y: (top + bottom) / 2 - (padding.top - padding.bottom) / 2 / scale,
    zoom,
  });
}

/**
 * True when `camera` still shows all points well: not much smaller than they could be, and none within
 * `least` of an edge, which is less than the padding with which it would show them.
 */
export function suits(
  camera: Camera,
  points: readonly Point[],
  size: Size,
  padding: Padding,
  least: Padding,
): boolean {
  const wanted = fitted(points, size, padding);
  if (wanted === null) return true;
  if (wanted.zoom - camera.zoom > 1) return false;
  return points.every((point) => {
    const { x, y } = toScreen(camera, size, point);
    return (
      x >= least.left &&
      x <= size.width - least.right &&
      y >= least.top &&
      y <= size.height - least.bottom
    );
  });
}

/** `share` (0 … 1) of the way from one camera to another. */
export function between(from: Camera, to: Camera, share: number): Camera {
  return normal({
    x: from.x + wrapped(to.x - from.x) * share,
    y: from.y + (to.y - from.y) * share,
    zoom: from.zoom + (to.zoom - from.zoom) * share,
  });
}

function normal(camera: Camera): Camera {
  return { x: wrapped(camera.x - 0.5) + 0.5, y: clamp(camera.y, 0, 1), zoom: camera.zoom };
}
