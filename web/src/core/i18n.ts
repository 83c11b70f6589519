/**
 * Texts in several languages. A language is one file in src/i18n: its texts by key, each a string or
 * its forms by plural category, with `{name}` for what is put in. Pure.
 */

export type Category = "zero" | "one" | "two" | "few" | "many" | "other";
export type Forms = { readonly other: string } & { readonly [category in Category]?: string };
export type Text = string | Forms;

export interface Catalogue<Key extends string = string> {
  /** BCP 47. */
  readonly code: string;
  /** In the language itself. */
  readonly name: string;
  readonly direction?: "ltr" | "rtl";
  /** For browsers without Intl.PluralRules (iOS 12). */
  plural(count: number): Category;
  readonly texts: { readonly [key in Key]: Text };
}

export type Values = { readonly [name: string]: string | number };

export interface Translator<Key extends string = string> {
  (key: Key, values?: Values): string;
  readonly code: string;
  readonly direction: "ltr" | "rtl";
  /** A number as it is written in this language. */
  number(value: number, digits?: number): string;
}

/** Writes numbers as `code` does. Making a format takes a hundred times as long as using it. */
function numbersOf(code: string): (value: number, digits?: number) => string {
  const formats: Intl.NumberFormat[] = [];
  return (value, digits = 0) => {
    try {
      formats[digits] ??= new Intl.NumberFormat(code, {
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
      });
      return formats[digits].format(value);
    } catch {
      return value.toFixed(digits);
    }
  };
}

/** A translator into `catalogue`. A plural is chosen by the value `n`. */
export function translator<Key extends string>(catalogue: Catalogue<Key>): Translator<Key> {
  const rules = pluralRules(catalogue);
  const number = numbersOf(catalogue.code);
  const translate = (key: Key, values: Values = {}): string => {
    const text = catalogue.texts[key];
    let form: string;
    if (typeof text === "string") form = text;
    else form = text[rules(Number(values["n"] ?? 0))] ?? text.other;
    return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
      const value = values[name];
      if (value === undefined) return whole;
      return typeof value === "number" ? number(value) : value;
    });
  };
  return Object.assign(translate, {
    code: catalogue.code,
    direction: catalogue.direction ?? "ltr",
    number,
  });
}

function pluralRules(catalogue: Catalogue): (count: number) => Category {
  const Rules = (Intl as { PluralRules?: typeof Intl.PluralRules }).PluralRules;
  if (Rules === undefined) return (count) => catalogue.plural(count);
  const rules = new Rules(catalogue.code);
  return (count) => rules.select(count) as Category;
}

/** The first of `wanted` (as navigator.languages) for which there is a catalogue, or `otherwise`. */
export function chosen(
  wanted: readonly string[],
  codes: readonly string[],
  otherwise: string,
): string {
  for (const each of wanted) {
    const exact = codes.filter((code) => code.toLowerCase() === each.toLowerCase())[0];
    if (exact !== undefined) return exact;
    const language = each.split("-")[0]!.toLowerCase();
    const near = codes.filter((code) => code.split("-")[0]!.toLowerCase() === language)[0];
    if (near !== undefined) return near;
  }
  return otherwise;
}
