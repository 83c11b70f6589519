// Multi-session stress: 20 sessions of 50 people for 20 minutes. People come late, leave early,
// lose their connection for 5 to 60 s and return: LOSSES_PER_HOUR times an hour each.
//
//   k6 run -e HTTP_URL=http://127.0.0.1:8080 stress.js

import { Group } from "./group.js";
import { comesAndGoes } from "./people.js";
import { number, optionsOf, planOf } from "./plan.js";

const plan = planOf({ sessions: 20, size: 50, interval: 2, duration: 1200 });
const habits = {
  late: 0.2,
  early: 0.2,
  lossesPerHour: number("LOSSES_PER_HOUR", 6, 0.001, 3600),
  // As much of a short run as of a long one.
  shortest: Math.min(5, plan.duration / 20),
  longest: Math.min(60, plan.duration / 4),
};

export const options = optionsOf("stress", plan);

export default async function () {
  const visitsOf = (each, random) => comesAndGoes(plan.duration, habits, random);
  await new Group(plan, __VU - 1, { visitsOf }).run();
}
