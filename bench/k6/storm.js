// Connection storm: 1,000 people in sessions of 50 join and connect within 60 s (RAMP), evenly and
// in all sessions at a time; they are active for 5 minutes and leave in order.
//
//   k6 run -e HTTP_URL=http://127.0.0.1:8080 storm.js

import { Group } from "./group.js";
import { stays } from "./people.js";
import { optionsOf, planOf, seconds } from "./plan.js";

const plan = planOf({ sessions: 20, size: 50, interval: 2, duration: 360 });
const ramp = Math.min(seconds("RAMP", Math.min(60, plan.duration / 2)), plan.duration);

export const options = optionsOf("storm", plan, {
  connect_failed: ["rate==0"],
  connect_ms: ["p(99)<500"],
});

export default async function () {
  const session = __VU - 1;
  const visitsOf = (number) => {
    const turn = number * plan.sessions + session;
    return stays((turn / plan.people) * ramp);
  };
  await new Group(plan, session, { visitsOf }).run();
}
