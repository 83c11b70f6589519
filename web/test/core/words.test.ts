import { describe, expect, test } from "vitest";
import {
  agoText,
  compass,
  distanceText,
  leftText,
  roundLength,
  scaleText,
  unitsOf,
} from "../../src/core/format";
import { chosen, translator } from "../../src/core/i18n";
import { asName, graphemes, initials, inkOn, safeColor, shortened } from "../../src/core/names";
import de from "../../src/i18n/de";
import en, { addTexts } from "../../src/i18n/en";
import { dialogTexts } from "../../src/i18n/en_dialogs";
import { nameOf } from "../../src/i18n/names";

addTexts(dialogTexts);
const english = translator(en);
const german = translator(de);

describe("catalogues", () => {
  test.each([en, de])("put in the same values: $code", (catalogue) => {
    const values = (text: unknown) =>
      new Set(
        JSON.stringify(text)
          .match(/\{\w+\}/g)
          ?.filter((each) => each !== "{n}") ?? [],
      );
    for (const [key, text] of Object.entries(en.texts)) {
      const other = (catalogue.texts as Record<string, unknown>)[key];
      expect(values(other), key).toEqual(values(text));
    }
  });

  test("have plural forms, also where the browser has no rules for them", () => {
    expect(english("people.count", { n: 1 })).toBe("1 person");
    expect(german("people.count", { n: 0 })).toBe("0 Personen");
    expect(en.plural(1)).toBe("one");
  });

  test("are chosen by the person's languages in their order", () => {
    expect(chosen(["fr-FR", "de-AT", "en"], ["en", "de"], "en")).toBe("de");
    expect(chosen(["fr"], ["en", "de"], "en")).toBe("en");
  });

  test("are named in themselves in the settings, a third one too", () => {
    expect(["en", "de", "fr"].map(nameOf)).toEqual(["English", "Deutsch", "français"]);
  });

  test("a name is put in as it is", () => {
    expect(english("notice.joined", { name: "{n} $& <b>" })).toBe("{n} $& <b> joined");
  });
});

describe("lengths", () => {
  test.each([
    [3, "here"],
    [42, "42 m"],
    [994, "990 m"],
    [1_234, "1.2 km"],
    [12_345, "12 km"],
  ])("%d m is %s", (metres, text) => {
    expect(distanceText(english, metres, "metric")).toBe(text);
  });

  test("are feet and miles for those who go by them, and have their language's comma", () => {
    expect(distanceText(english, 100, "imperial")).toBe("330 ft");
    expect(distanceText(english, 2_000, "imperial")).toBe("1.2 mi");
    expect(distanceText(german, 1_234, "metric")).toBe("1,2 km");
    expect(unitsOf("en-US")).toBe("imperial");
    expect(unitsOf("de-DE")).toBe("metric");
  });

  test("of a scale are round", () => {
    expect(roundLength(740, "metric")).toBe(500);
    expect(roundLength(4_000, "imperial") / 1609.344).toBeCloseTo(2);
  });

  test.each([
    [600, "metric", ["500 m", "1 km", "1.5 km", "2 km"]],
    [1_000, "metric", ["1 km", "2 km", "3 km", "4 km"]],
    [700, "imperial", ["2,000 ft", "4,000 ft", "6,000 ft", "8,000 ft"]],
    [1_600, "imperial", ["5,000 ft", "10,000 ft", "15,000 ft", "20,000 ft"]],
    [4_000, "imperial", ["2 mi", "4 mi", "6 mi", "8 mi"]],
  ] as const)("of four rings below %d m, %s, are said exactly", (most, units, texts) => {
    const step = roundLength(most, units);
    expect([1, 2, 3, 4].map((at) => scaleText(english, at * step, units))).toEqual(texts);
  });
});

test("times are coarse while there is much of them", () => {
  expect([1_000, 42_000, 240_000, 7_300_000].map((ms) => agoText(english, ms))).toEqual([
    "just now",
    "40 s ago",
    "4 min ago",
    "2 h ago",
  ]);
  expect([5_400_000, 900_000, 65_000, -5].map((ms) => leftText(english, ms))).toEqual([
    "1\u00a0h\u00a030\u00a0min",
    "15\u00a0min",
    "1:05",
    "0:00",
  ]);
  expect([0, 44, 181, 359].map((each) => compass(english, each))).toEqual(["N", "NE", "S", "N"]);
});

describe("names", () => {
  test.each([
    ["Ada Lovelace", "AL"],
    ["ada", "A"],
    ["Élodie van der Berg", "ÉB"],
    ["שרה כהן", "ש"],
    ["王 小明", "王"],
    ["👩‍🚀 Sally", "👩‍🚀"],
    ["\u200b\u2800 ", "?"],
    ["\u200bBo", "B"],
    ["", "?"],
  ])("%j is shown as %s", (name, shown) => {
    expect(initials(name)).toBe(shown);
  });

  test("with stacks of marks keep two of them", () => {
    expect(initials(`Z${"\u0301".repeat(40)}`)).toBe("Z\u0301\u0301");
  });

  test("are cut between whole characters, with the browser's rules and without", () => {
    expect(shortened("👩‍🚀".repeat(30), 3)).toBe("👩‍🚀👩‍🚀…");
    expect(graphemes("e\u0301🇩🇪👨‍👩‍👧x", null)).toHaveLength(4);
  });

  test("that read as the reader's own stand in quotation marks", () => {
    const read = (names: string[], t: typeof english) => names.map((each) => asName(t, each));
    expect(read(["You", "yOU", "Ada (you)", "Du"], english)).toEqual([
      "“You”",
      "“yOU”",
      "“Ada (you)”",
      "Du",
    ]);
    expect(read(["Du", "Ada (DU)", "You", "Dudu"], german)).toEqual([
      "„Du“",
      "„Ada (DU)“",
      "You",
      "Dudu",
    ]);
  });

  test("have colours that can be read", () => {
    expect(safeColor("red;}")).toBe("#808080");
    expect(inkOn("#ffee00")).toBe("#000000");
    expect(inkOn("#112233")).toBe("#ffffff");
  });
});
