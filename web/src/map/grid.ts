/**
 * What the map shows without any tiles: a graticule, and rings of distance around this device. By
 * them places and distances can be read without the internet. Drawn on a canvas in CSS pixels.
 */

import { type Camera, type Padding, type Size, scaleOf, toPoint, toScreen } from "../core/camera";
import { roundLength, scaleText, type Units } from "../core/format";
import { metresPerUnit, type Place, project, unproject } from "../core/geo";
import type { Translator } from "../core/i18n";
import type { MapKey } from "./surface";
import type { Theme } from "./theme";

export interface GridOptions {
  readonly theme: Theme;
  readonly units: Units;
  readonly t: Translator<MapKey>;
  /** What lies over the map: no label stands beneath it. */
  readonly covered: Padding;
}

/** What a label of a meridian takes, and at the lower edge the scale. */
const LABEL_PX = 66;
const FOOT_PX = 42;
const MINUTE = 1 / 60;
const SECOND = 1 / 3600;
/** Widths of a cell in degrees, and into how many parts fine lines divide it. */
const STEPS: readonly (readonly [degrees: number, parts: number])[] = [
  [30, 3],
  [10, 5],
  [5, 5],
  [2, 4],
  [1, 6],
  [30 * MINUTE, 3],
  [10 * MINUTE, 5],
  [5 * MINUTE, 5],
  [2 * MINUTE, 4],
  [MINUTE, 6],
  [30 * SECOND, 3],
  [10 * SECOND, 5],
  [5 * SECOND, 5],
  [2 * SECOND, 4],
  [SECOND, 5],
];
const CELL_PX = 220;
const FONT = "11px system-ui, sans-serif";
const MOST_RINGS = 4;
const LEAST_RING_M = 5;
const MOST_RING_M = 500_000;

/** A meridian or a parallel. */
interface Line {
  readonly isMeridian: boolean;
  /** Of the screen, at the middle of a pixel. */
  readonly at: number;
  readonly degrees: number;
  readonly count: number;
}

export function drawGraticule(
  context: CanvasRenderingContext2D,
  camera: Camera,
  size: Size,
  { theme, t, covered }: GridOptions,
): void {
  const perDegree = scaleOf(camera) / 360;
  const fits = STEPS.filter(([degrees]) => degrees * perDegree <= CELL_PX)[0];
  const [step, parts] = fits ?? STEPS[STEPS.length - 1]!;
  const lines = linesOf(camera, size, step / parts);
  const stroke = (color: string, isMain: boolean): void => {
    context.beginPath();
    for (const line of lines) {
      if ((line.count % parts === 0) !== isMain) continue;
      if (line.isMeridian) {
        context.moveTo(line.at, 0);
        context.lineTo(line.at, size.height);
      } else {
        context.moveTo(0, line.at);
        context.lineTo(size.width, line.at);
      }
    }
    context.strokeStyle = color;
    context.lineWidth = 1;
    context.stroke();
  };
  stroke(theme.gridFine, false);
  stroke(theme.gridLine, true);

  context.fillStyle = theme.gridText;
  context.font = FONT;
  context.textBaseline = "top";
  context.textAlign = "left";
  const [north, east, south, west] = [
    t("compass.0"),
    t("compass.2"),
    t("compass.4"),
    t("compass.6"),
  ];
  for (const line of lines) {
    if (line.count % parts !== 0) continue;
    const { isMeridian, at, degrees } = line;
    if (isMeridian) {
      if (at < covered.left + LABEL_PX || at > size.width - covered.right - LABEL_PX) continue;
      context.fillText(angleText(degrees, step, east, west), at + 4, covered.top + 6);
    } else if (at > covered.top + 24 && at < size.height - covered.bottom - FOOT_PX) {
      context.fillText(angleText(degrees, step, north, south), covered.left + 6, at + 3);
    }
  }
}

/** The lines of the graticule that are on the screen: as many as fit, however far the zoom. */
export function linesOf(camera: Camera, size: Size, spacing: number): readonly Line[] {
  const nw = unproject(toPoint(camera, size, { x: 0, y: 0 }));
  const se = unproject(toPoint(camera, size, { x: size.width, y: size.height }));
  const width = (size.width / scaleOf(camera)) * 360;
  const found: Line[] = [];
  const first = Math.ceil((camera.x * 360 - 180 - width / 2) / spacing);
  const last = Math.floor((camera.x * 360 - 180 + width / 2) / spacing);
  for (let count = first; count <= last; count += 1) {
    // Not toScreen, which knows one repetition of the world only.
    const x = size.width / 2 + ((count * spacing + 180) / 360 - camera.x) * scaleOf(camera);
    found.push({ isMeridian: true, at: Math.round(x) + 0.5, degrees: count * spacing, count });
  }
  for (let count = Math.ceil(se.lat / spacing); count * spacing <= nw.lat; count += 1) {
    const { y } = toScreen(camera, size, project({ lat: count * spacing, lng: 0 }));
    found.push({ isMeridian: false, at: Math.round(y) + 0.5, degrees: count * spacing, count });
  }
  return found;
}

/** Degrees in words, as finely as `step` needs. */
export function angleText(
  degrees: number,
  step: number,
  positive: string,
  negative: string,
): string {
  const around = ((((degrees + 180) % 360) + 360) % 360) - 180;
  const seconds = Math.round(Math.abs(around) * 3600);
  const two = (value: number): string => (value < 10 ? `0${value}` : String(value));
  let text = `${Math.floor(seconds / 3600)}°`;
  if (step < 1) text += `${two(Math.floor(seconds / 60) % 60)}′`;
  if (step < MINUTE) text += `${two(seconds % 60)}″`;
  if (seconds === 0 || seconds === 180 * 3600) return text;
  return `${text} ${around > 0 ? positive : negative}`;
}

export function drawRings(
  context: CanvasRenderingContext2D,
  camera: Camera,
  size: Size,
  own: Place,
  { theme, units, t, covered }: GridOptions,
): void {
  const perMetre = scaleOf(camera) / metresPerUnit(own.lat);
  const step = roundLength(Math.min(size.width, size.height) / 2.6 / perMetre, units);
  if (!(step >= LEAST_RING_M && step <= MOST_RING_M)) return;
  const { x, y } = toScreen(camera, size, project(own));
  context.strokeStyle = theme.ring;
  context.lineWidth = 1;
  context.setLineDash([3, 5]);
  const rings: number[] = [];
  for (let ring = 1; ring <= MOST_RINGS; ring += 1) rings.push(ring * step * perMetre);
  for (const radius of rings) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
  }
  context.setLineDash([]);
  context.font = FONT;
  context.textBaseline = "middle";
  context.textAlign = "center";
  rings.forEach((radius, at) => {
    if (y - radius < covered.top + 10) return;
    const text = scaleText(t, (at + 1) * step, units);
    const width = context.measureText(text).width + 8;
    context.fillStyle = theme.ground;
    context.fillRect(x - width / 2, y - radius - 8, width, 16);
    context.fillStyle = theme.ringText;
    context.fillText(text, x, y - radius);
  });
}

export interface Scale {
  readonly pixels: number;
  readonly label: string;
}

/** The scale bar that fits into `most` pixels, as it is at the middle of the map. */
export function scaleBar(camera: Camera, most: number, units: Units, t: Translator<MapKey>): Scale {
  const perMetre = scaleOf(camera) / metresPerUnit(unproject(camera).lat);
  const metres = roundLength(most / perMetre, units);
  return { pixels: metres * perMetre, label: scaleText(t, metres, units) };
}
