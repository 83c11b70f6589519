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

/** Flags, a letter with its marks, and emoji joined to one: enough for browsers without Segmenter. */
const CLUSTER =
  /\p{RI}{2}|\P{M}[\p{M}\p{EMod}\u{E0020}-\u{E007F}]*(?:\u200D\P{M}[\p{M}\p{EMod}]*)*|\p{M}+/gsu;

/** What people take for one character each. */
export function graphemes(text, Segmenter = Intl.Segmenter) {
  if (typeof Segmenter !== "function") return text.match(CLUSTER) ?? [];
  return Array.from(new Segmenter().segment(text), (part) => part.segment);
}

/** Something to be seen: no blank, no control, nothing ignorable, no mark without a letter. */
const VISIBLE = /(?![\p{Default_Ignorable_Code_Point}\u2800])[\p{L}\p{N}\p{P}\p{S}]/u;
const MOST_MARKS = /(\p{M}{2})\p{M}+/gu;

/** The first character of a name that can be seen, as it is; of marks no more than fit. */
export function avatar(name, Segmenter = Intl.Segmenter) {
  const found = graphemes(name, Segmenter).find((each) => VISIBLE.test(each)) ?? "?";
  return found.replace(MOST_MARKS, "$1");
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
