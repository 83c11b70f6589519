/** Numbers, times and names as people read them. Pure: the time is given. */

const POINTS = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"];

/** The point of the compass nearest to a bearing in degrees. */
export function compass(degrees) {
  return POINTS[Math.round(degrees / 45) % 8];
}

export function length(metres) {
  if (metres < 10) return "here";
  if (metres < 995) return `${metres < 100 ? Math.round(metres) : Math.round(metres / 10) * 10} m`;
  if (metres < 9950) return `${(metres / 1000).toFixed(1)} km`;
  return `${Math.round(metres / 1000)} km`;
}

/** A round length for a scale bar or a ring. */
export function plainLength(metres) {
  return metres < 1000 ? `${metres} m` : `${metres / 1000} km`;
}

/** The largest of 1, 2, 5, 10, 20, 50 … that is not above `limit`. */
export function roundBelow(limit) {
  const power = 10 ** Math.floor(Math.log10(limit));
  for (const factor of [5, 2]) if (factor * power <= limit) return factor * power;
  return power;
}

/** How long ago, from milliseconds. */
export function ago(ms) {
  const seconds = Math.round(ms / 1000);
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.round(hours / 24)} days ago`;
}

/** What is left, from milliseconds: coarse while there is much of it. */
export function remaining(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours > 0) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  if (minutes >= 10) return `${minutes} min`;
  return `${minutes}:${String(seconds % 60).padStart(2, "0")}`;
}

const graphemes =
  typeof Intl.Segmenter === "function"
    ? (text) => Array.from(new Intl.Segmenter().segment(text), (part) => part.segment)
    : (text) => Array.from(text);

/** One or two characters that stand for a name, of whatever script. */
export function initials(name) {
  const words = name.trim().split(/[\s\-_.]+/u).filter(Boolean);
  if (words.length === 0) return "?";
  const first = graphemes(words[0])[0];
  const last = words.length > 1 ? graphemes(words.at(-1))[0] : "";
  return (first + last).toUpperCase();
}

/** `name` short enough for the map. */
export function shortened(name, most = 18) {
  const parts = graphemes(name);
  return parts.length <= most ? name : `${parts.slice(0, most - 1).join("")}…`;
}

/** `color` if it is `#RRGGBB`, otherwise grey: what comes from others is never trusted. */
export function safeColor(color) {
  return /^#[0-9a-f]{6}$/i.test(color) ? color : "#808080";
}

/** Black or white, whichever is easier to read on `color`. */
export function inkOn(color) {
  const channel = (at) => {
    const value = parseInt(safeColor(color).slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  const light = 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
  // The contrast with white, 1.05 / (light + 0.05), against that with black.
  return 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 ? "#ffffff" : "#000000";
}
