// Runs one script as k6 would, with stand-ins for its modules, and prints what came of it as JSON.
//
//   node --experimental-websocket run.mjs SCRIPT NAME=VALUE…
//
// With RECORD=1 in the environment also every frame and request that was sent, for the tests.

import { register } from "node:module";
import { pathToFileURL } from "node:url";

register("./hooks.mjs", import.meta.url);

const [script, ...settings] = process.argv.slice(2);
globalThis.__ENV = Object.fromEntries(settings.map((each) => each.split(/=(.*)/s)));

const { default: iteration, options } = await import(pathToFileURL(script));
const { judge, metrics } = await import("k6/metrics");
const { requests } = await import("k6/http");
const { frames } = await import("k6/websockets");

const [[, scenario]] = Object.entries(options.scenarios);
if (scenario.executor !== "per-vu-iterations" || scenario.iterations !== 1) {
  throw new Error("only one iteration per virtual user is run here");
}
judge(options.thresholds);

const running = [];
for (let number = 1; number <= scenario.vus; number += 1) {
  globalThis.__VU = number; // read before the first await
  running.push(iteration());
}
await Promise.all(running);

const values = {};
for (const [name, metric] of metrics) {
  values[name] = { samples: metric.samples, sum: metric.sum, ...metric.measures("95", "99") };
}
const thresholds = judge(options.thresholds);
const recorded = process.env.RECORD ? { frames, requests } : {};
process.stdout.write(JSON.stringify({ metrics: values, scenario, thresholds, ...recorded }));
