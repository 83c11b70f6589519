// Fault tolerance: 500 people in sessions of 50 for 30 minutes. Every DROP_EVERY (60 s) one in five
// (DROP_SHARE) loses the connection in the same moment and comes back at once.
//
// k6 cannot harm a server. Do that beside it, as often as you like, and say so with -e OUTAGES=1:
// connections that end by that are then no failure, and still have to be back within 5 s.
//
//   k6 run -e HTTP_URL=http://127.0.0.1:8080 faults.js

import { Group } from "./group.js";
import { sleep } from "./locshare.js";
import { gathering, stays } from "./people.js";
import { number, optionsOf, planOf, seconds } from "./plan.js";

const plan = planOf({ sessions: 10, size: 50, interval: 2, duration: 1800 });
const every = seconds("DROP_EVERY", plan.duration / 30);
const share = number("DROP_SHARE", 0.2, 0, 1);
const outages = number("OUTAGES", 0, 0, 1e9);

export const options = optionsOf("faults", plan, {
  ...(outages ? { unexpected_disconnects: null } : {}),
  recoveries: ["count>0"],
});

export default async function () {
  const visitsOf = (each, random) => stays(random() * gathering(plan.duration));
  await new Group(plan, __VU - 1, { visitsOf, disrupt }).run();
}

async function disrupt(group) {
  const last = plan.duration - Math.min(5, every / 2); // so that they are back before the end
  for (let at = every; at < last; at += every) {
    await sleep(group.at(at) - Date.now());
    group.people.filter(() => group.random() < share).forEach((person) => person.drop());
  }
}
