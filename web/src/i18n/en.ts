/**
 * English: the keys of all catalogues. `{name}` is put in; forms are chosen by `{n}`. What the dialogs say
 * comes with them (en_dialogs.ts), since the page is here before.
 */

import type { Catalogue, Text } from "../core/i18n";
import type { dialogTexts } from "./en_dialogs";

const texts = {
  "app.title": "See each other on a map",
  "app.lead":
    "For a hike, a ride, a festival. Whoever has the link is in. No accounts, and nothing is kept: it ends by itself.",
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
  "join.host": "You are the host.",
  "join.host.wrong": "The host’s link is not the right one: you join like everyone else.",
  "join.locked": "The host has locked it: nobody else can join.",
  "join.privacy":
    "Your browser asks for your location next. Everyone in the session sees it while this page is open. It is never stored.",

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
  "problem.busy": {
    one: "The server is busy, or starts again. Try again in {n} second.",
    other: "The server is busy, or starts again. Try again in {n} seconds.",
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
  "end.left.unheard":
    "The server could not be reached. The others lose your position, and see you as offline.",
  "end.removed": "You are no longer in this session",
  "end.removed.text": "You left it, or its host removed you.",
  "end.replaced": "Open somewhere else",
  "end.replaced.text": "This session is open in another tab, as the same person.",
  "end.old_link": "This link no longer works",
  "end.old_link.text":
    "The host has made a new one. Ask whoever sent you this one, or anybody in the session.",
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
  "people.me": "(you)",
  "name.quoted": "“{name}”",
  "person.live": "live",
  "person.sharing": "sharing your position",
  "person.not_shared": "only watching",
  "person.no_position": "no position",
  "person.here": "was here {ago}",
  "person.mine_old": "your position is from {ago}",
  "person.offline": "offline · last seen {ago}",
  "person.last_seen": "last seen {ago}, {distance} from here",
  "person.offline.now": "offline",
  "person.paused": "paused",
  "person.hidden": "in the background",

  "map.label": "Map. The arrow keys move it, plus and minus zoom.",
  "map.you": "You",
  "map.you_and": { one: "You and {n} person", other: "You and {n} people" },
  "map.people": { one: "{n} person", other: "{n} people" },

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
  "notice.joined.more": { one: "{n} more person joined", other: "{n} more people joined" },
  "notice.left": "{name} left",
  "notice.left.more": { one: "{n} more person left", other: "{n} more people left" },
  "notice.removed": "The host removed {name}",
  "notice.locked": "The host has locked the session",
  "notice.unlocked": "The session is open again",
  "notice.new_link": "The host has made a new link",
  "notice.copied": "Link copied",

  "action.share": "Share link",
  "session.ends": "ends in {left}",
  "session.locked": "locked",

  "home.mine": "Go back into",
  "create.until": "until {time}",
  "join.ends": "Ends in {left}.",
  "join.app": "Open in the app",
  "join.app.missing": "Did nothing open? Then the app is not on this phone. Join here, without it.",
  "join.watch": "Only watch",
  "person.host": "Host",
  "person.searching": "looking for your position …",
  "person.blurred": "sharing roughly where you are",
  "person.cut": "not connected: nobody gets your position",
  "person.paused_me": "paused: nobody sees where you are",
  "person.follow": "Follow",
  "person.directions": "Directions",
  "person.make_host": "Make host",
  "person.remove": "Remove",
  "people.alone":
    "You are the first. Share the link, and whoever opens it appears here and on the map.",
  "people.more": "Show everyone in the list",
  "people.less": "Show more of the map",
  "people.back": "Back to the list",
  "fact.distance": "Distance",
  "fact.speed": "Speed",
  "fact.age": "Position from",
  "fact.accuracy": "Accuracy",
  "fact.battery": "Battery",
  "unit.percent": "{n} %",
  "map.tools": "Map",
  "map.me": "Centre on me",
  "map.everyone": "Show everyone",
  "map.in": "Zoom in",
  "map.out": "Zoom out",
  "menu.word": "Menu",
  "lock.tip":
    "When your screen is off, the others see your last position, and that you are in the background.",
  "lock.how": "Go on sharing",
  "lock.ok": "All right",
  "location.help": "Help",
  "notice.host": "{name} is a host now",
  "notice.host_me": "You are a host now",
  "notice.not_copied": "Copying was not possible: the link is marked, copy it by hand.",
  "action.invite": "Invite",
  "action.pause": "Pause",
  "action.resume": "Resume",
  "action.start": "Share",
  "session.others": { one: "{n} more session", other: "{n} more sessions" },

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
  "left.hours": "{h}\u00a0h\u00a0{m}\u00a0min",
  "left.minutes": "{n}\u00a0min",
} as const satisfies { [key: string]: Text };

type Texts = typeof texts & typeof dialogTexts;
export type Key = keyof Texts;

const en: Catalogue<Key> = {
  code: "en",
  name: "English",
  plural: (count) => (count === 1 ? "one" : "other"),
  texts: texts as Texts,
};

/** The dialogs are here, and say this. */
export function addTexts(more: typeof dialogTexts): void {
  Object.assign(en.texts, more);
}

export default en;
