// Who the people are: names, ways to go, and when they come and go. Seeded, so that a run can be
// repeated. A small form of bench/people, which k6 cannot call.

const METRES = 111195; // of a degree of latitude
const RADIUS_M = 800;
const UNITS = 1e7; // of a degree: about a centimetre
const DIGIT = 64;

const CITIES = [
  [41.392, 2.165], // Barcelona
  [52.499, 13.418], // Berlin
  [-34.6037, -58.3816], // Buenos Aires
  [30.05, 31.243], // Cairo
  [6.51, 3.37], // Lagos
  [51.516, -0.13], // London
  [-37.8136, 144.9631], // Melbourne
  [19.433, -99.136], // Mexico City
  [28.6315, 77.2167], // Delhi
  [40.7549, -73.984], // New York
  [-23.558, -46.661], // São Paulo
  [35.6717, 139.765], // Tokyo
];
const COLORS = ["#E4572E", "#2E86AB", "#3A7D44", "#F2A541", "#8E44AD", "#D6336C"];

// Slowest and fastest in m/s, and how far one turns in a second, in degrees.
const WALKING = { slowest: 1.1, fastest: 1.7, turns: 8 };
const DRIVING = { slowest: 6, fastest: 11, turns: 4 };
const STATIONARY = { slowest: 0, fastest: 0, turns: 0 };
const MIX = [WALKING, DRIVING, WALKING, DRIVING, WALKING, STATIONARY, DRIVING, WALKING];

/** A source of chance, 0 up to but not 1 (mulberry32). */
export function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function nameOf(number) {
  return `person ${number + 1}`;
}

export function colorOf(number) {
  return COLORS[number % COLORS.length];
}

/** The way of one person, near the centre of their group's city. */
export class Walk {
  constructor(group, number, random) {
    this.centre = CITIES[group % CITIES.length];
    this.style = MIX[number % MIX.length];
    this.random = random;
    this.x = (random() - 0.5) * RADIUS_M; // metres east and north of the centre
    this.y = (random() - 0.5) * RADIUS_M;
    this.heading = random() * 360;
    this.speed = this.style.slowest + random() * (this.style.fastest - this.style.slowest);
    this.accuracy = 5 + random() * 8;
    this.battery = 40 + random() * 60;
    this.at = null;
    this.reports = 0;
  }

  /**
   * The report of `now` (milliseconds since 1970). Reports are numbered in the last digits of their
   * place, of 70 cm each, so that 4,096 in a row are all of different places.
   */
  report(now) {
    this.move(this.at === null ? 0 : (now - this.at) / 1000);
    this.at = now;
    const number = this.reports;
    this.reports += 1;
    const [south, west] = this.centre;
    const lat = south + this.y / METRES;
    const lng = west + this.x / (METRES * Math.cos((lat * Math.PI) / 180));
    return {
      lat: marked(lat, number % DIGIT),
      lng: marked(lng, Math.floor(number / DIGIT) % DIGIT),
      accuracy: round(this.accuracy + 2 * Math.sin(now / 20000), 1),
      timestamp: new Date(now).toISOString(),
      speed: round(this.speed, 2),
      heading: this.speed ? round(this.heading, 1) % 360 : null,
      battery: Math.round(this.battery),
    };
  }

  move(seconds) {
    if (!this.speed) {
      return;
    }
    this.heading = (this.heading + (this.random() - 0.5) * this.style.turns * seconds + 360) % 360;
    if (Math.hypot(this.x, this.y) > RADIUS_M) {
      this.heading = ((Math.atan2(-this.x, -this.y) * 180) / Math.PI + 360) % 360; // back
    }
    const way = this.speed * seconds;
    this.x += way * Math.sin((this.heading * Math.PI) / 180);
    this.y += way * Math.cos((this.heading * Math.PI) / 180);
  }
}

function marked(angle, digit) {
  const units = Math.trunc(angle * UNITS);
  return (units - (((units % DIGIT) + DIGIT) % DIGIT) + digit) / UNITS;
}

function round(value, places) {
  return Number(value.toFixed(places));
}

// --- when they come and go: visits, in seconds after the beginning of the run ------------------

/** From `arrives` to the end. */
export function stays(arrives) {
  return [{ arrives, leaves: null }];
}

/** How late the last one comes of those who begin together: not all push the door at once. */
export function gathering(duration) {
  return Math.min(5, duration / 10);
}

/**
 * Of somebody restless, at least one: comes later with a probability of `late`, leaves before the
 * end with one of `early`, and loses the connection `lossesPerHour` times an hour, for `shortest`
 * to `longest` seconds.
 */
export function comesAndGoes(duration, habits, random) {
  const latest = random() < habits.late ? duration / 2 : gathering(duration);
  let arrives = random() * latest;
  const leaves = random() < habits.early ? (0.5 + random() / 2) * duration : null;
  const end = leaves === null ? duration : leaves;
  const visits = [];
  for (;;) {
    const lost = arrives + (-Math.log(1 - random()) * 3600) / habits.lossesPerHour;
    if (!(lost < end)) {
      return [...visits, { arrives, leaves }];
    }
    visits.push({ arrives, leaves: lost });
    arrives = lost + habits.shortest + random() * (habits.longest - habits.shortest);
    if (arrives >= end) {
      return visits;
    }
  }
}
