// Baseline: one session of 50 people who report every 2 s, for 10 minutes.
//
//   k6 run -e HTTP_URL=http://127.0.0.1:8080 baseline.js

import { Group } from "./group.js";
import { gathering, stays } from "./people.js";
import { optionsOf, planOf } from "./plan.js";

const plan = planOf({ sessions: 1, size: 50, interval: 2, duration: 600 });

export const options = optionsOf("baseline", plan);

export default async function () {
  const visitsOf = (number, random) => stays(random() * gathering(plan.duration));
  await new Group(plan, __VU - 1, { visitsOf }).run();
}
