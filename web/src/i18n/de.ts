/** Deutsch. */

import type { Catalogue } from "../core/i18n";
import type { Key } from "./en";

const de: Catalogue<Key> = {
  code: "de",
  name: "Deutsch",
  plural: (count) => (count === 1 ? "one" : "other"),
  texts: {
    "app.title": "Seht einander auf der Karte",
    "app.lead":
      "Für Wanderung, Ausfahrt, Festival. Wer den Link hat, ist dabei. Ohne Konto, und nichts wird aufgehoben: Die Sitzung endet von selbst.",
    "app.loading": "Einen Moment …",

    "create.name": "Name der Sitzung",
    "create.name.hint": "Wir denken uns einen aus",
    "create.duration": "Endet nach",
    "create.hours": { one: "{n} Stunde", other: "{n} Stunden" },
    "create.submit": "Sitzung erstellen",

    "join.name": "Dein Name",
    "join.color": "Deine Farbe",
    "join.submit": "Teilnehmen",
    "join.nobody": "Noch ist niemand da.",
    "join.count": { one: "{n} Person ist da.", other: "{n} Personen sind da." },
    "join.host": "Du leitest sie.",
    "join.host.wrong": "Der Link der Leitung stimmt nicht: Du nimmst teil wie alle anderen.",
    "join.locked": "Die Leitung hat sie geschlossen: Niemand kann mehr dazukommen.",
    "join.privacy":
      "Alle in der Sitzung sehen, wo du bist, solange diese Seite offen ist. Positionen werden nie gespeichert.",

    "color.red": "Rot",
    "color.orange": "Orange",
    "color.amber": "Bernstein",
    "color.green": "Grün",
    "color.teal": "Türkis",
    "color.blue": "Blau",
    "color.violet": "Violett",
    "color.pink": "Rosa",

    "problem.locked": "Die Leitung hat die Sitzung geschlossen: Niemand kann mehr dazukommen.",
    "problem.banned": "Die Leitung hat dich entfernt und lässt dich nicht mehr teilnehmen.",
    "problem.full": "Die Sitzung ist voll.",
    "problem.not_host":
      "Du leitest diese Sitzung nicht mehr. Versuche es noch einmal, um wie alle teilzunehmen.",
    "problem.wait": {
      one: "Zu viele auf einmal. Versuche es in {n} Sekunde wieder.",
      other: "Zu viele auf einmal. Versuche es in {n} Sekunden wieder.",
    },
    "problem.no_answer": "Der Server ist nicht erreichbar.",
    "problem.other": "Das hat nicht geklappt. {detail}",

    "end.unknown": "Diese Sitzung gibt es nicht",
    "end.unknown.text": "Der Link ist unvollständig, oder die Sitzung ist schon länger vorbei.",
    "end.ended": "Diese Sitzung ist beendet",
    "end.expired": "Ihre Zeit war um.",
    "end.ended_by_host": "Die Leitung hat sie beendet.",
    "end.inactive": "Es war niemand mehr da.",
    "end.internal_error": "Auf dem Server ist etwas schiefgegangen.",
    "end.left": "Du hast die Sitzung verlassen",
    "end.left.text": "Die anderen sehen dich nicht mehr.",
    "end.removed": "Du bist nicht mehr in dieser Sitzung",
    "end.removed.text": "Du hast sie verlassen, oder die Leitung hat dich entfernt.",
    "end.replaced": "Anderswo geöffnet",
    "end.replaced.text": "Diese Sitzung ist in einem anderen Tab offen, als dieselbe Person.",
    "end.failed": "Diese Seite und der Server verstehen einander nicht",
    "end.failed.text": "Neu laden hilft vielleicht.",
    "end.unreachable": "Der Server ist nicht erreichbar",
    "end.again": "Wieder teilnehmen",
    "end.here": "Hier verwenden",
    "end.reload": "Neu laden",
    "end.retry": "Noch einmal versuchen",
    "end.create": "Eine eigene Sitzung erstellen",

    "people.title": "Personen",
    "people.count": { one: "{n} Person", other: "{n} Personen" },
    "people.you": "{name} (du)",
    "person.live": "live",
    "person.sharing": "deine Position wird geteilt",
    "person.not_shared": "deine Position wird nicht geteilt",
    "person.no_position": "keine Position",
    "person.here": "war hier {ago}",
    "person.mine_old": "deine Position ist von {ago}",
    "person.offline": "offline · zuletzt gesehen {ago}",
    "person.last_seen": "zuletzt gesehen {ago}, {distance} von hier",
    "person.paused": "pausiert",
    "person.hidden": "Bildschirm gesperrt",

    "link.connecting": "Verbinden …",
    "link.offline": "Du bist offline. Positionen können alt sein.",
    "link.lost": "Verbindung verloren. Neuer Versuch",
    "link.lost.in": { one: "in {n} Sekunde …", other: "in {n} Sekunden …" },

    "location.asking": "Erlaube dieser Seite deinen Standort, damit die anderen dich sehen.",
    "location.denied":
      "Du siehst die anderen, sie dich aber nicht. Erlaube dieser Seite deinen Standort.",
    "location.unavailable":
      "Deine Position ist gerade nicht zu finden. Die anderen sehen, wie alt die letzte ist.",
    "location.stale": "Dein Gerät gibt nur eine alte Position. Die anderen sehen, wie alt sie ist.",
    "location.insecure":
      "Du siehst die anderen, sie dich aber nicht: Browser geben den Standort nur Seiten, die über https kommen.",
    "location.unsupported":
      "Du siehst die anderen, sie dich aber nicht: Dieser Browser hat keinen Standort zu teilen.",

    "notice.joined": "{name} ist dazugekommen",
    "notice.left": "{name} ist gegangen",
    "notice.removed": "Die Leitung hat {name} entfernt",
    "notice.locked": "Die Leitung hat die Sitzung geschlossen",
    "notice.unlocked": "Die Sitzung ist wieder offen",
    "notice.copied": "Link kopiert",

    "action.share": "Link teilen",
    "action.leave": "Verlassen",
    "action.end": "Für alle beenden",
    "action.cancel": "Abbrechen",
    "session.ends": "endet in {left}",
    "session.locked": "geschlossen",

    "unit.m": "{n} m",
    "unit.km": "{n} km",
    "unit.ft": "{n} ft",
    "unit.mi": "{n} mi",
    "unit.kmh": "{n} km/h",
    "unit.mph": "{n} mph",
    "distance.here": "hier",
    "compass.0": "N",
    "compass.1": "NO",
    "compass.2": "O",
    "compass.3": "SO",
    "compass.4": "S",
    "compass.5": "SW",
    "compass.6": "W",
    "compass.7": "NW",
    "ago.now": "gerade eben",
    "ago.seconds": "vor {n} s",
    "ago.minutes": "vor {n} min",
    "ago.hours": "vor {n} h",
    "ago.days": { one: "vor {n} Tag", other: "vor {n} Tagen" },
    "left.hours": "{h} h {m} min",
    "left.minutes": "{n} min",
  },
};

export default de;
