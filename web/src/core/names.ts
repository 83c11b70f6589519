/** Names and colours, which others choose: what is shown of them. Pure. */

import type { Translator } from "./i18n";
import { kept } from "./kept";

interface SegmenterLike {
  segment(text: string): Iterable<{ readonly segment: string }>;
}
type SegmenterClass = new () => SegmenterLike;
const Segmenter = (Intl as unknown as { Segmenter?: SegmenterClass }).Segmenter;
const builtIn = Segmenter === undefined ? null : new Segmenter();
/** More people than there are in a session. */
const MOST_KEPT = 400;

/** Flags, a letter with its marks, and emoji joined to one: enough for browsers without Segmenter. */
const CLUSTER =
  /\p{RI}{2}|\P{M}[\p{M}\p{EMod}\u{E0020}-\u{E007F}]*(?:\u200D\P{M}[\p{M}\p{EMod}]*)*|\p{M}+/gsu;

/** What people take for one character each. */
export function graphemes(text: string, segmenter = builtIn): readonly string[] {
  if (segmenter === null) return text.match(CLUSTER) ?? [];
  return Array.from(segmenter.segment(text), (part) => part.segment);
}

/** Something to be seen: no blank, no control, nothing ignorable, no mark without a letter. */
const VISIBLE = /(?![\p{Default_Ignorable_Code_Point}\u2800])[\p{L}\p{N}\p{P}\p{S}]/u;
const LETTER = /[\p{L}\p{N}]/u;
const MOST_MARKS = /(\p{M}{2})\p{M}+/gu;
/** Scripts whose letters join or stack: two initials side by side would be another word. */
const SINGLE = /[^\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{N}\p{M}]/u;

/**
 * The initials of a name: of its first and last word in alphabets that have initials, otherwise the
 * first character that can be seen; of marks no more than fit.
 */
export const initials = kept(MOST_KEPT, (name) => {
  const words = name.split(/[\s\u2800]+/u).map(first);
  const seen = words.filter((each): each is string => each !== null);
  const one = seen[0];
  if (one === undefined) return "?";
  const last = seen[seen.length - 1]!;
  const two = seen.length > 1 && initial(one) && initial(last);
  const found = two ? one + last : one;
  return (initial(one) ? found.toUpperCase() : found).replace(MOST_MARKS, "$1");
});

const initial = (character: string): boolean => LETTER.test(character) && !SINGLE.test(character);

function first(word: string): string | null {
  return graphemes(word).filter((each) => VISIBLE.test(each))[0] ?? null;
}

/** The keys of the catalogue that `asName` uses. */
export type NameKey = "map.you" | "people.me" | "name.quoted";

/** The name of somebody else. One that reads as if it were the reader's own stands in quotation marks. */
export function asName(t: Translator<NameKey>, name: string): string {
  const read = name.toLowerCase();
  const isMine = read === t("map.you").toLowerCase() || read.endsWith(t("people.me"));
  return isMine ? t("name.quoted", { name }) : name;
}

/** `name` within a sentence: what runs from right to left in it turns nothing else round. */
export const isolated = (name: string): string => `\u2068${name}\u2069`;

/**
 * `name` as it stands on the map: without what cannot be seen at its ends, with no more marks on a
 * letter than fit, and short.
 */
export function tagText(name: string): string {
  const parts = graphemes(name.replace(MOST_MARKS, "$1"));
  const isSeen = parts.map((each) => VISIBLE.test(each));
  const first = isSeen.indexOf(true);
  if (first < 0) return "?";
  return shortened(parts.slice(first, isSeen.lastIndexOf(true) + 1).join(""));
}

/** `name` short enough for the map. */
export function shortened(name: string, most = 18): string {
  const parts = graphemes(name);
  return parts.length <= most ? name : `${parts.slice(0, most - 1).join("")}…`;
}

/** `color` if it is `#RRGGBB`, otherwise grey: what comes from others is never trusted. */
export function safeColor(color: string): string {
  return /^#[0-9a-f]{6}$/i.test(color) ? color : "#808080";
}

/** Black or white, whichever is easier to read on `color`. */
export const inkOn = kept(MOST_KEPT, (color) => {
  const channel = (at: number): number => {
    const value = Number.parseInt(safeColor(color).slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  const light = 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
  // The contrast with white, 1.05 / (light + 0.05), against that with black.
  return 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 ? "#ffffff" : "#000000";
});
