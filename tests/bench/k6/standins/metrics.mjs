// k6/metrics: what was added, and what k6's thresholds make of it.

export const metrics = new Map();

class Metric {
  constructor(name) {
    if (metrics.has(name)) {
      throw new Error(`the metric ${name} is there already`);
    }
    this.values = [];
    metrics.set(name, this);
  }

  add(value) {
    const number = Number(value);
    if (!Number.isFinite(number)) {
      throw new TypeError(`${value} is no number`);
    }
    this.values.push(number);
  }

  sum() {
    return this.values.reduce((one, other) => one + other, 0);
  }
}

export class Counter extends Metric {
  measures() {
    return { count: this.sum() };
  }
}

export class Rate extends Metric {
  measures() {
    return { rate: this.values.length ? this.sum() / this.values.length : 0 };
  }
}

export class Trend extends Metric {
  measures(percentile) {
    const sorted = [...this.values].sort((one, other) => one - other);
    const last = sorted.length - 1;
    const at = (share) => sorted[Math.min(last, Math.floor(share * sorted.length))] ?? 0;
    const average = sorted.length ? this.sum() / sorted.length : 0;
    const found = { avg: average, min: at(0), med: at(0.5), max: at(1) };
    return percentile === undefined ? found : { [`p(${percentile})`]: at(percentile / 100) };
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
      const value = metric.measures(parts.percentile)[parts.measure];
      if (value === undefined) {
        throw new Error(`${expression}: a ${metric.constructor.name} has no ${parts.measure}`);
      }
      found[`${name}: ${expression}`] = SIGNS[parts.sign](value, Number(parts.limit));
    }
  }
  return found;
}
