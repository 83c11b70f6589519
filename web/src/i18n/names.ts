/** The languages, each in itself, for the settings: a catalogue that is not loaded cannot say so. */

import { languages } from ".";

/** For older browsers. */
const NAMES: { readonly [code: string]: string } = { en: "English", de: "Deutsch" };

type Names = new (codes: string[], how: { type: "language" }) => { of(code: string): string };

export function nameOf(code: string): string {
  const { DisplayNames } = Intl as { DisplayNames?: Names };
  if (NAMES[code] !== undefined || DisplayNames === undefined) return NAMES[code] ?? code;
  return new DisplayNames([code], { type: "language" }).of(code);
}

export const languageNames = languages.map((code) => ({ code, name: nameOf(code) }));
