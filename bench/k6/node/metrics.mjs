// k6/metrics: what was added, and what k6's thresholds make of it.

export const metrics = new Map();

class Metric {
  constructor(name) {
    if (metrics.has(name)) {
      throw new Error(`the metric ${name} is there already`);
    }
    this.samples = 0;
    this.sum = 0;
    metrics.set(name, this);
  }

  add(value) {
    const number = Number(value);
    if (!Number.isFinite(number)) {
      throw new TypeError(`${value} is no number`);
    }
    this.samples += 1;
    this.sum += number;
    return number;
  }
}

export class Counter extends Metric {
  measures() {
    return { count: this.sum };
  }
}

export class Rate extends Metric {
  measures() {
    return { rate: this.samples ? this.sum / this.samples : 0 };
  }
}

/** Times here are whole milliseconds, so counting equal ones takes little memory in a long run. */
export class Trend extends Metric {
  constructor(name) {
    super(name);
    this.counts = new Map();
  }

  add(value) {
    const number = super.add(value);
    this.counts.set(number, (this.counts.get(number) ?? 0) + 1);
    return number;
  }

  at(share) {
    const rank = Math.min(this.samples - 1, Math.floor(share * this.samples));
    let seen = 0;
    for (const value of [...this.counts.keys()].sort((one, other) => one - other)) {
      seen += this.counts.get(value);
      if (seen > rank) {
        return value;
      }
    }
    return 0;
  }

  measures(...percentiles) {
    const average = this.samples ? this.sum / this.samples : 0;
    const found = { avg: average, min: this.at(0), med: this.at(0.5), max: this.at(1) };
    for (const each of percentiles) {
      found[`p(${each})`] = this.at(each / 100);
    }
    return found;
  }
}

const MEASURE = String.raw`(?<measure>[a-z]+|p\((?<percentile>\d+(?:\.\d+)?)\))`;
const SIGN = "(?<sign><=|<|>=|>|===|==|!=)";
const EXPRESSION = new RegExp(String.raw`^${MEASURE} *${SIGN} *(?<limit>\d+(?:\.\d+)?)$`);
const SIGNS = {
  "<": (value, limit) => value < limit,
  "<=": (value, limit) => value <= limit,
  ">": (value, limit) => value > limit,
  ">=": (value, limit) => value >= limit,
  "==": (value, limit) => value === limit,
  "===": (value, limit) => value === limit,
  "!=": (value, limit) => value !== limit,
};

/** {"name: expression": kept}. Throws for what k6 would not take. */
export function judge(thresholds) {
  const found = {};
  for (const [name, expressions] of Object.entries(thresholds)) {
    const metric = metrics.get(name);
    if (!metric) {
      throw new Error(`no metric is called ${name}`);
    }
    for (const expression of expressions) {
      const parts = EXPRESSION.exec(expression)?.groups;
      if (!parts) {
        throw new Error(`${expression} is no threshold`);
      }
      const { percentile } = parts;
      const value = metric.measures(...(percentile ? [percentile] : []))[parts.measure];
      if (value === undefined) {
        throw new Error(`${expression}: a ${metric.constructor.name} has no ${parts.measure}`);
      }
      found[`${name}: ${expression}`] = SIGNS[parts.sign](value, Number(parts.limit));
    }
  }
  return found;
}
