// What the web client's own code answers to the cases on standard input, for test_same_as_web.py.

import { readFileSync } from "node:fs";
import { blurred } from "../../web/src/core/blur.ts";
import { directionsLink } from "../../web/src/core/directions.ts";
import {
  agoText,
  compass,
  distanceText,
  leftText,
  speedText,
  unitsOf,
} from "../../web/src/core/format.ts";
import { bearing, distance } from "../../web/src/core/geo.ts";
import { translator } from "../../web/src/core/i18n.ts";
import de from "../../web/src/i18n/de.ts";
import en, { addTexts } from "../../web/src/i18n/en.ts";
import { dialogTexts } from "../../web/src/i18n/en_dialogs.ts";

addTexts(dialogTexts);
const cases = JSON.parse(readFileSync(0, "utf8"));
const catalogues = { en, de };
const both = ["metric", "imperial"];
const formats = {};
for (const [code, catalogue] of Object.entries(catalogues)) {
  const t = translator(catalogue);
  formats[code] = {
    distances: both.map((units) => cases.lengths.map((each) => distanceText(t, each, units))),
    speeds: both.map((units) => cases.speeds.map((each) => speedText(t, each, units))),
    ages: cases.seconds.map((each) => agoText(t, each * 1000)),
    left: cases.seconds.map((each) => leftText(t, each * 1000).replace(/\u00a0/g, " ")),
    compass: cases.bearings.map((each) => compass(t, each)),
  };
}
const answer = {
  texts: { en: en.texts, de: de.texts },
  formats,
  units: cases.locales.map(unitsOf),
  blurred: cases.places.map(([lat, lng, accuracy]) => {
    const found = blurred({ lat, lng, accuracy, timestamp: "", speed: 3, heading: 20 });
    return [found.lat, found.lng, found.accuracy, found.speed ?? null, found.heading ?? null];
  }),
  ways: cases.ways.map(([from, to]) => {
    const [here, there] = [from, to].map(([lat, lng]) => ({ lat, lng }));
    return [distance(here, there), bearing(here, there)];
  }),
  directions: cases.systems.map((system) =>
    directionsLink({ lat: 52.5, lng: -13.25 }, "Ada & Söhne (2)", system),
  ),
};
process.stdout.write(JSON.stringify(answer));
