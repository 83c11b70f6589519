/**
 * The background of the map: tiles if there are any, and always a graticule, rings of distance around
 * the own position and a scale bar, so that the map shows places and distances without the internet.
 */

import { scaleOf, toPoint, toScreen } from "./camera.js";
import { plainLength, roundBelow } from "./format.js";
import { metresPerUnit, project, unproject } from "./geo.js";

const MINUTE = 1 / 60;
const SECOND = 1 / 3600;
/** Widths of a graticule's cell in degrees, and into how many parts its fine lines divide it. */
const STEPS = [
  [30, 3], [10, 5], [5, 5], [2, 4], [1, 6], [30 * MINUTE, 3], [10 * MINUTE, 5], [5 * MINUTE, 5],
  [2 * MINUTE, 4], [MINUTE, 6], [30 * SECOND, 3], [10 * SECOND, 5], [5 * SECOND, 5],
  [2 * SECOND, 4], [SECOND, 5],
];
const CELL_PX = 220;
const SCALE_BAR_ROOM_PX = 52;

/** Draw all of it. `theme` holds colours, `own` this tab's place or null, `tiles` a Tiles or null. */
export function drawBackground(context, camera, size, { theme, own, tiles }) {
  context.fillStyle = theme.ground;
  context.fillRect(0, 0, size.width, size.height);
  drawGraticule(context, camera, size, theme);
  if (tiles !== null) tiles.draw(context, camera, size, theme);
  if (own !== null) drawRings(context, camera, size, theme, own);
}

function drawGraticule(context, camera, size, theme) {
  const perDegree = scaleOf(camera) / 360;
  const [step, parts] = STEPS.find(([degrees]) => degrees * perDegree <= CELL_PX) ?? STEPS.at(-1);
  const nw = unproject(toPoint(camera, size, { x: 0, y: 0 }));
  const se = unproject(toPoint(camera, size, { x: size.width, y: size.height }));
  const width = size.width / perDegree;

  const lines = (spacing, draw) => {
    const count = Math.ceil(width / spacing) + 1;
    const first = Math.ceil((camera.x * 360 - 180 - width / 2) / spacing);
    for (let i = first; i < first + count; i += 1) {
      const { x } = toScreen(camera, size, { x: (i * spacing + 180) / 360, y: 0 });
      draw(Math.round(x) + 0.5, null, i * spacing, i);
    }
    for (let i = Math.ceil(se.lat / spacing); i * spacing <= nw.lat; i += 1) {
      const { y } = toScreen(camera, size, project({ lat: i * spacing, lng: 0 }));
      draw(null, Math.round(y) + 0.5, i * spacing, i);
    }
  };
  const stroke = (spacing, color, skip) => {
    context.beginPath();
    lines(spacing, (x, y, _, i) => {
      if (skip && i % skip === 0) return;
      context.moveTo(x ?? 0, y ?? 0);
      context.lineTo(x ?? size.width, y ?? size.height);
    });
    context.strokeStyle = color;
    context.lineWidth = 1;
    context.stroke();
  };
  stroke(step / parts, theme.fineLine, parts);
  stroke(step, theme.line, 0);

  context.fillStyle = theme.faint;
  context.font = "10px system-ui, sans-serif";
  context.textBaseline = "top";
  lines(step, (x, y, value) => {
    if (x !== null) {
      if (x > 60) context.fillText(angle(value, step, "E", "W"), x + 4, 5);
    } else if (y > 20 && y < size.height - SCALE_BAR_ROOM_PX) {
      context.fillText(angle(value, step, "N", "S"), 5, y + 3);
    }
  });
}

function angle(value, step, positive, negative) {
  const around = ((((value + 180) % 360) + 360) % 360) - 180;
  const seconds = Math.round(Math.abs(around) * 3600);
  const [d, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  let text = `${d}°`;
  if (step < 1) text += `${String(m).padStart(2, "0")}′`;
  if (step < MINUTE) text += `${String(s).padStart(2, "0")}″`;
  return seconds === 0 ? text : `${text} ${around > 0 ? positive : negative}`;
}

function drawRings(context, camera, size, theme, own) {
  const pixelsPerMetre = scaleOf(camera) / metresPerUnit(own.lat);
  const step = roundBelow(Math.max(size.width, size.height) / 3 / pixelsPerMetre);
  if (step < 5 || step > 500_000) return;
  const { x, y } = toScreen(camera, size, project(own));
  context.strokeStyle = theme.ring;
  context.fillStyle = theme.ringText;
  context.font = "10px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.textAlign = "center";
  context.setLineDash([3, 5]);
  for (let i = 1; i <= 4; i += 1) {
    const radius = i * step * pixelsPerMetre;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
    const text = plainLength(i * step);
    const width = context.measureText(text).width + 8;
    context.save();
    context.fillStyle = theme.ground;
    context.globalAlpha = 0.85;
    context.fillRect(x - width / 2, y - radius - 7, width, 14);
    context.restore();
    context.fillText(text, x, y - radius);
  }
  context.setLineDash([]);
  context.textAlign = "start";
}

/** The scale bar that fits into `most` pixels at the middle of the map: {pixels, label}. */
export function scaleBar(camera, most) {
  const pixelsPerMetre = scaleOf(camera) / metresPerUnit(unproject(camera).lat);
  const metres = roundBelow(most / pixelsPerMetre);
  return { pixels: metres * pixelsPerMetre, label: plainLength(metres) };
}
