/**
 * A position as those send it who show where they are only roughly: the middle of a cell of about
 * 1 km. Pure, and done on the device: the exact place never leaves it.
 *
 * The cells are fixed on the globe. A place that moves within one gives the same point always, so that
 * nobody can average the true place out of many. Speed, heading and altitude would tell of the place
 * inside the cell, and are left out.
 */

import type { Report } from "./protocol";

const CELL_DEGREES = 0.01; // 1.1 km from south to north
const RADIUS_M = 800;

export function blurred(report: Report): Report {
  const lat = middle(report.lat, CELL_DEGREES, 90);
  // As wide as high: fewer cells round the world towards the poles.
  const wide =
    360 / Math.max(1, Math.floor((360 / CELL_DEGREES) * Math.cos((lat * Math.PI) / 180)));
  const kept: { -readonly [key in keyof Report]: Report[key] } = {
    lat,
    lng: middle(report.lng, wide, 180),
    timestamp: report.timestamp,
    accuracy: Math.max(RADIUS_M, report.accuracy ?? 0),
  };
  if (report.age_ms !== undefined) kept.age_ms = report.age_ms;
  if (report.battery !== undefined) kept.battery = report.battery;
  return kept;
}

function middle(value: number, step: number, most: number): number {
  const found = (Math.floor(value / step) + 0.5) * step;
  return Number(Math.max(-most, Math.min(most, found)).toFixed(6));
}
