/** Distances, speeds, ages and times as people read them, in their language and units. Pure. */

import type { Translator } from "./i18n";

export type Units = "metric" | "imperial";

/** The keys of the catalogue that this file uses. */
export type FormatKey =
  | "unit.m"
  | "unit.km"
  | "unit.ft"
  | "unit.mi"
  | "unit.kmh"
  | "unit.mph"
  | "distance.here"
  | "compass.0"
  | "compass.1"
  | "compass.2"
  | "compass.3"
  | "compass.4"
  | "compass.5"
  | "compass.6"
  | "compass.7"
  | "ago.now"
  | "ago.seconds"
  | "ago.minutes"
  | "ago.hours"
  | "ago.days"
  | "left.hours"
  | "left.minutes";

type Translate = Translator<FormatKey>;

const FOOT_M = 0.3048;
const MILE_M = 1609.344;
/** Below this two people are in one place, as exactly as phones know. */
const HERE_M = 10;

/** The units of a region: three countries go by miles. */
export function unitsOf(language: string): Units {
  return /-(?:US|GB|LR|MM)\b/i.test(language) ? "imperial" : "metric";
}

/** The point of the compass nearest to a bearing in degrees. */
export function compass(t: Translate, degrees: number): string {
  const point = ((Math.round(degrees / 45) % 8) + 8) % 8;
  return t(`compass.${point}` as FormatKey);
}

export function distanceText(t: Translate, metres: number, units: Units): string {
  if (metres < HERE_M) return t("distance.here");
  if (units === "imperial") {
    const feet = metres / FOOT_M;
    if (feet < 1000) return t("unit.ft", { n: Math.round(feet / 10) * 10 });
    return large(t, metres / MILE_M, "unit.mi");
  }
  if (metres < 995) {
    return t("unit.m", { n: metres < 100 ? Math.round(metres) : Math.round(metres / 10) * 10 });
  }
  return large(t, metres / 1000, "unit.km");
}

function large(t: Translate, value: number, unit: FormatKey): string {
  return t(unit, { n: t.number(value, value < 9.95 ? 1 : 0) });
}

export function speedText(t: Translate, mps: number, units: Units): string {
  const metric = units === "metric";
  const value = Math.round(mps * (metric ? 3.6 : 3600 / MILE_M));
  return t(metric ? "unit.kmh" : "unit.mph", { n: value });
}

/**
 * A round length for a scale bar or a ring: a multiple of `roundLength`, and said exactly. Three times
 * 500 m is 1.5 km, and three times 1,000 ft is no whole number of miles.
 */
export function scaleText(t: Translate, metres: number, units: Units): string {
  if (units === "imperial") {
    const miles = Math.round(metres / MILE_M);
    const isWhole = Math.abs(metres - miles * MILE_M) < 1;
    return isWhole ? t("unit.mi", { n: miles }) : t("unit.ft", { n: Math.round(metres / FOOT_M) });
  }
  if (metres < 1000) return t("unit.m", { n: metres });
  const km = Math.round(metres) / 1000;
  return t("unit.km", { n: t.number(km, Number.isInteger(km) ? 0 : 1) });
}

/** The largest length in metres that is 1, 2 or 5 times a power of ten of a unit, up to `metres`. */
export function roundLength(metres: number, units: Units): number {
  const unit = units === "metric" ? 1 : metres < MILE_M ? FOOT_M : MILE_M;
  return roundBelow(metres / unit) * unit;
}

/** The largest of 1, 2, 5, 10, 20, 50 … that is not above `limit`. */
export function roundBelow(limit: number): number {
  const power = 10 ** Math.floor(Math.log10(limit));
  for (const factor of [5, 2]) if (factor * power <= limit) return factor * power;
  return power;
}

/** Ages below a minute go by so many seconds: a list in which all counts is one that nobody reads. */
const STEP_S = 5;

/** How long ago, from milliseconds. */
export function agoText(t: Translate, ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < STEP_S) return t("ago.now");
  if (seconds < 60) return t("ago.seconds", { n: seconds - (seconds % STEP_S) });
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return t("ago.minutes", { n: minutes });
  const hours = Math.round(minutes / 60);
  return hours < 48 ? t("ago.hours", { n: hours }) : t("ago.days", { n: Math.round(hours / 24) });
}

/** What is left, from milliseconds: coarse while there is much of it. */
export function leftText(t: Translate, ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const two = (value: number): string => String(value).padStart(2, "0");
  if (hours > 0) return t("left.hours", { h: hours, m: two(minutes % 60) });
  if (minutes >= 10) return t("left.minutes", { n: minutes });
  return `${minutes}:${two(seconds % 60)}`;
}
