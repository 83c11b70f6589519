/** The languages: English comes with the page, each other one is loaded when it is wanted. */

import { type Catalogue, chosen, type Translator, translator } from "../core/i18n";
import en, { type Key } from "./en";

export type { Key };
export type T = Translator<Key>;

const others = import.meta.glob<{ default: Catalogue<Key> }>([
  "./*.ts",
  "!./en*.ts",
  "!./index.ts",
  "!./names.ts",
]);
const codeOf = (path: string): string => path.replace(/^\.\/|\.ts$/g, "");
export const languages: readonly string[] = ["en", ...Object.keys(others).map(codeOf)];

export const english: T = translator(en);

/** The translator for the first of `wanted` that there is; English when it cannot be loaded. */
export async function load(wanted: readonly string[]): Promise<T> {
  const code = chosen(wanted, languages, "en");
  const path = Object.keys(others).filter((each) => codeOf(each) === code)[0];
  if (path === undefined) return english;
  try {
    return translator((await others[path]!()).default);
  } catch {
    return english;
  }
}
