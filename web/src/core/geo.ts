/**
 * Positions on the globe and on the map. Pure.
 *
 * A place is `{lat, lng}` in degrees (WGS 84). A point is `{x, y}` in Web Mercator, the whole world
 * being the unit square with y growing southwards. Lengths are metres, directions are degrees
 * clockwise from true north.
 */

/** A place in degrees (WGS 84). */
export interface Place {
  readonly lat: number;
  readonly lng: number;
}

/** A point of the unit square of Web Mercator. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

const RADIUS = 6_371_008.8;
const CIRCUMFERENCE = 2 * Math.PI * 6_378_137;
/** Where Mercator's square ends. */
export const MAX_LATITUDE = 85.0511287798066;

const radians = (angle: number): number => (angle * Math.PI) / 180;
const degrees = (angle: number): number => (angle * 180) / Math.PI;

export function project({ lat, lng }: Place): Point {
  const sine = Math.sin(radians(Math.max(-MAX_LATITUDE, Math.min(MAX_LATITUDE, lat))));
  return {
    x: (lng + 180) / 360,
    y: 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI),
  };
}

export function unproject({ x, y }: Point): Place {
  return {
    lat: degrees(2 * Math.atan(Math.exp((0.5 - y) * 2 * Math.PI)) - Math.PI / 2),
    lng: wrapped(x - 0.5) * 360,
  };
}

/** `x` brought into −0.5 … 0.5 by whole turns round the world. */
export function wrapped(x: number): number {
  return x - Math.floor(x + 0.5);
}

/** How many metres on the ground one unit of the map is, at this latitude. */
export function metresPerUnit(lat: number): number {
  return CIRCUMFERENCE * Math.cos(radians(Math.max(-MAX_LATITUDE, Math.min(MAX_LATITUDE, lat))));
}

/** Metres along the great circle. */
export function distance(from: Place, to: Place): number {
  const dLat = radians(to.lat - from.lat) / 2;
  const dLng = radians(to.lng - from.lng) / 2;
  const h =
    Math.sin(dLat) ** 2 +
    Math.cos(radians(from.lat)) * Math.cos(radians(to.lat)) * Math.sin(dLng) ** 2;
  return 2 * RADIUS * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** The direction in which one sets out from `from` to reach `to`: 0 … 360. */
export function bearing(from: Place, to: Place): number {
  const lat1 = radians(from.lat);
  const lat2 = radians(to.lat);
  const dLng = radians(to.lng - from.lng);
  const east = Math.sin(dLng) * Math.cos(lat2);
  const north = Math.cos(lat1) * Math.sin(lat2) - Math.sin(lat1) * Math.cos(lat2) * Math.cos(dLng);
  return (degrees(Math.atan2(east, north)) + 360) % 360;
}
