// How large and how long a run is, and what it must keep to. Values are set with `-e NAME=…`.

const DEFAULT_URL = "http://127.0.0.1:8080";
const FINISH_S = 90; // beyond the run itself: joining, the last deliveries, leaving

/**
 * `defaults`: sessions, size, interval (s), duration (s). With SCALE there are so many times the
 * people: fewer or more sessions, and smaller ones when a single session is too many.
 */
export function planOf(defaults) {
  const scale = number("SCALE", 1, 0.001, 1000);
  const sessions = whole("SESSIONS", Math.max(1, Math.round(defaults.sessions * scale)), 1);
  const people = Math.round(defaults.sessions * defaults.size * scale);
  const size = whole("SIZE", Math.max(2, Math.round(people / sessions)), 2);
  return {
    httpUrl: url("HTTP_URL", DEFAULT_URL, "http"),
    wsUrl: url("WS_URL", "", "ws"),
    seed: whole("SEED", 1, 0),
    sessions,
    size,
    people: sessions * size,
    interval: number("INTERVAL", defaults.interval, 0.05, 3600),
    duration: seconds("DURATION", defaults.duration),
    patience: seconds("PATIENCE", 5), // for the last deliveries, and then for the last goodbyes
  };
}

/** Of the criteria: the 95th percentile of the time that a delivery takes, in milliseconds. */
export function p95Limit(people) {
  if (people <= 500) {
    return 500;
  }
  return people <= 1000 ? 300 : 200;
}

/**
 * The options of a script. A virtual user of k6 is a whole session with all its people: only who
 * sees both ends of a delivery can tell that it was lost. `thresholds` come on top of the criteria;
 * null takes one away.
 */
export function optionsOf(name, plan, thresholds = {}) {
  const all = {
    delivery_ms: [`p(95)<${p95Limit(plan.people)}`],
    lost: ["rate<0.001"],
    unexpected_disconnects: ["rate<0.01"],
    recovery_ms: ["max<5000"],
    create_failed: ["rate==0"],
    join_failed: ["rate==0"],
    stale_pairs: ["count==0"],
    foreign: ["count==0"],
    // Nothing would be late or lost in a run in which nothing came to pass.
    delivered: ["count>0"],
    ...thresholds,
  };
  const kept = Object.entries(all).filter(([, limits]) => limits !== null);
  return {
    scenarios: {
      [name]: {
        executor: "per-vu-iterations",
        vus: plan.sessions,
        iterations: 1,
        maxDuration: `${Math.ceil(plan.duration + FINISH_S)}s`,
      },
    },
    thresholds: Object.fromEntries(kept),
    summaryTrendStats: ["min", "med", "p(95)", "p(99)", "max", "count"],
  };
}

// --- values -----------------------------------------------------------------------------------

/** A number from the environment. Throws with the name, the value and what is allowed. */
export function number(name, otherwise, lowest, highest) {
  const text = __ENV[name];
  if (text === undefined || text === "") {
    return otherwise;
  }
  const value = Number(text);
  if (!(value >= lowest && value <= highest)) {
    throw new Error(`${name}=${text}: must be a number from ${lowest} to ${highest}`);
  }
  return value;
}

/** Seconds: a number, or one with a unit, as in `90s`, `10m` and `1h`. */
export function seconds(name, otherwise) {
  const text = __ENV[name];
  if (text === undefined || text === "") {
    return otherwise;
  }
  const parts = /^(\d+(?:\.\d+)?)(s|m|h)?$/.exec(text);
  if (!parts || !(Number(parts[1]) > 0)) {
    throw new Error(`${name}=${text}: must be a duration such as 90, 90s, 10m or 1h`);
  }
  return Number(parts[1]) * { s: 1, m: 60, h: 3600 }[parts[2] || "s"];
}

function whole(name, otherwise, lowest) {
  const value = number(name, otherwise, lowest, 1e9);
  if (value !== Math.round(value)) {
    throw new Error(`${name}=${__ENV[name]}: must be a whole number`);
  }
  return value;
}

function url(name, otherwise, scheme) {
  const text = __ENV[name] || otherwise;
  if (text && !new RegExp(`^${scheme}s?://[^/]+/*$`).test(text)) {
    throw new Error(`${name}=${text}: must be like ${scheme}://host:port`);
  }
  return text.replace(/\/+$/, "");
}
