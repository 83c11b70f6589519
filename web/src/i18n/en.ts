/** English: the keys of all catalogues. `{name}` is put in; forms are chosen by `{n}`. */

import type { Catalogue, Text } from "../core/i18n";

const texts = {
  "app.title": "See each other on a map",
  "app.lead":
    "For a hike, a ride, a festival. Whoever has the link is in. No accounts, and nothing is kept: the session ends by itself.",
  "app.loading": "One moment …",

  "create.name": "Name of the session",
  "create.name.hint": "We think of one for you",
  "create.duration": "Ends after",
  "create.hours": { one: "{n} hour", other: "{n} hours" },
  "create.submit": "Create session",

  "join.name": "Your name",
  "join.color": "Your colour",
  "join.submit": "Join",
  "join.nobody": "Nobody is here yet.",
  "join.count": { one: "{n} person is here.", other: "{n} people are here." },
  "join.host": "You are its host.",
  "join.host.wrong": "The host’s link is not the right one: you join like everyone else.",
  "join.locked": "The host has locked it: nobody else can join.",
  "join.privacy":
    "Everyone in the session sees where you are while this page is open. Positions are never stored.",

  "color.red": "Red",
  "color.orange": "Orange",
  "color.amber": "Amber",
  "color.green": "Green",
  "color.teal": "Teal",
  "color.blue": "Blue",
  "color.violet": "Violet",
  "color.pink": "Pink",

  "problem.locked": "The host has locked the session: nobody else can join.",
  "problem.banned": "The host has removed you, and lets you join no more.",
  "problem.full": "The session is full.",
  "problem.not_host":
    "You are no longer the host of this session. Try again, to join like everyone else.",
  "problem.wait": {
    one: "Too many at once. Try again in {n} second.",
    other: "Too many at once. Try again in {n} seconds.",
  },
  "problem.no_answer": "The server cannot be reached.",
  "problem.other": "That did not work. {detail}",

  "end.unknown": "There is no such session",
  "end.unknown.text": "The link is not complete, or the session ended some time ago.",
  "end.ended": "This session has ended",
  "end.expired": "Its time was up.",
  "end.ended_by_host": "The host has ended it.",
  "end.inactive": "Nobody was there any more.",
  "end.internal_error": "Something went wrong on the server.",
  "end.left": "You have left",
  "end.left.text": "The others no longer see you.",
  "end.removed": "You are no longer in this session",
  "end.removed.text": "You left it, or its host removed you.",
  "end.replaced": "Open somewhere else",
  "end.replaced.text": "This session is open in another tab, as the same person.",
  "end.failed": "This page and the server do not understand each other",
  "end.failed.text": "Reloading may help.",
  "end.unreachable": "The server cannot be reached",
  "end.again": "Join again",
  "end.here": "Use it here",
  "end.reload": "Reload",
  "end.retry": "Try again",
  "end.create": "Create a session of your own",

  "people.title": "People",
  "people.count": { one: "{n} person", other: "{n} people" },
  "people.you": "{name} (you)",
  "person.live": "live",
  "person.sharing": "sharing your position",
  "person.not_shared": "your position is not shared",
  "person.no_position": "no position",
  "person.here": "was here {ago}",
  "person.mine_old": "your position is from {ago}",
  "person.offline": "offline · last seen {ago}",
  "person.last_seen": "last seen {ago}, {distance} from here",
  "person.paused": "paused",
  "person.hidden": "screen locked",

  "link.connecting": "Connecting …",
  "link.offline": "You are offline. Positions may be old.",
  "link.lost": "Connection lost. Trying again",
  "link.lost.in": { one: "in {n} second …", other: "in {n} seconds …" },

  "location.asking": "Allow this page to use your position, so that the others see you.",
  "location.denied": "You see the others, but they do not see you. Allow this page your position.",
  "location.unavailable":
    "Your position cannot be found just now. The others see how old your last one is.",
  "location.stale": "Your device gives only an old position. The others see how old it is.",
  "location.insecure":
    "You see the others, but they do not see you: browsers share a position only with pages that come over https.",
  "location.unsupported":
    "You see the others, but they do not see you: this browser has no position to share.",

  "notice.joined": "{name} joined",
  "notice.left": "{name} left",
  "notice.removed": "The host removed {name}",
  "notice.locked": "The host has locked the session",
  "notice.unlocked": "The session is open again",
  "notice.copied": "Link copied",

  "action.share": "Share link",
  "action.leave": "Leave",
  "action.end": "End for everyone",
  "action.cancel": "Cancel",
  "session.ends": "ends in {left}",
  "session.locked": "locked",

  "unit.m": "{n} m",
  "unit.km": "{n} km",
  "unit.ft": "{n} ft",
  "unit.mi": "{n} mi",
  "unit.kmh": "{n} km/h",
  "unit.mph": "{n} mph",
  "distance.here": "here",
  "compass.0": "N",
  "compass.1": "NE",
  "compass.2": "E",
  "compass.3": "SE",
  "compass.4": "S",
  "compass.5": "SW",
  "compass.6": "W",
  "compass.7": "NW",
  "ago.now": "just now",
  "ago.seconds": "{n} s ago",
  "ago.minutes": "{n} min ago",
  "ago.hours": "{n} h ago",
  "ago.days": { one: "{n} day ago", other: "{n} days ago" },
  "left.hours": "{h} h {m} min",
  "left.minutes": "{n} min",
} as const satisfies { [key: string]: Text };

export type Key = keyof typeof texts;

const en: Catalogue<Key> = {
  code: "en",
  name: "English",
  plural: (count) => (count === 1 ? "one" : "other"),
  texts,
};

export default en;
