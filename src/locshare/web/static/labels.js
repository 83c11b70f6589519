/**
 * Which names on the map can be read: in a crowd some are left out, rather than all being a blot; at
 * the edge they move inwards, rather than being cut off. Pure.
 */

const DOT = 17; // the radius of what a marker covers
const TOP = 21; // from the middle of a marker to its name
const HEIGHT = 20;
const MARGIN = 4; // from a name to the edge of the map

/**
 * Each marker is `{x, y, width, shift, first, shown}`: where it is, how wide its name is and how far
 * that is moved, in pixels; whether it comes before all others; whether its name can be seen now,
 * which then tends to stay.
 * Returns for each whether its name is to be seen.
 */
export function readable(markers) {
  const rank = (at) => (markers[at].first ? 0 : markers[at].shown ? 1 : 2);
  const order = markers.map((_, at) => at).sort((a, b) => rank(a) - rank(b) || a - b);
  const taken = [];
  const result = markers.map(() => false);
  for (const at of order) {
    const { x, y, width, shift, first } = markers[at];
    const name = box(x + shift - width / 2, y + TOP, width, HEIGHT);
    const free =
      taken.every((other) => !meet(name, other)) &&
      markers.every((other, whose) => whose === at || !covers(other, name));
    if (!free && !first) continue;
    taken.push(name);
    result[at] = true;
  }
  return result;
}

/**
 * By how many pixels a name moves sideways to stay on a map that is `room` wide. It never leaves its
 * marker, and so goes out of sight with it.
 */
export function inwards(x, width, room) {
  const most = Math.max(0, width / 2 - DOT);
  const wanted = clamp(x, MARGIN + width / 2, room - MARGIN - width / 2) - x;
  return clamp(wanted, -most, most);
}

const box = (left, top, width, height) => ({ left, top, right: left + width, bottom: top + height });

const covers = ({ x, y }, name) =>
  Math.hypot(x - clamp(x, name.left, name.right), y - clamp(y, name.top, name.bottom)) < DOT;

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

const meet = (a, b) =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
