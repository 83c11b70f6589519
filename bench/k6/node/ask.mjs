// Evaluates an expression about one module `m` of the scripts, and prints its value as JSON.
//
//   node ask.mjs MODULE EXPRESSION NAME=VALUE…

import { register } from "node:module";
import { pathToFileURL } from "node:url";

register("./hooks.mjs", import.meta.url);

const [path, expression, ...settings] = process.argv.slice(2);
globalThis.__ENV = Object.fromEntries(settings.map((each) => each.split(/=(.*)/s)));
const m = await import(pathToFileURL(path));
const value = await new Function("m", `return ${expression};`)(m);
process.stdout.write(JSON.stringify(value));
