// Message flooding: 100 people in two sessions of 50 who report every 500 ms, for 15 minutes.
//
// A session of 100 needs a server that allows it: -e SESSIONS=1 -e SIZE=100.
//
//   k6 run -e HTTP_URL=http://127.0.0.1:8080 flood.js

import { Group } from "./group.js";
import { gathering, stays } from "./people.js";
import { optionsOf, planOf } from "./plan.js";

const plan = planOf({ sessions: 2, size: 50, interval: 0.5, duration: 900 });

export const options = optionsOf("flood", plan);

export default async function () {
  const visitsOf = (number, random) => stays(random() * gathering(plan.duration));
  await new Group(plan, __VU - 1, { visitsOf }).run();
}
