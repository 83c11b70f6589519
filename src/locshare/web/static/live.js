/**
 * The map with all participants: connects the session's state, the connection, this device's position
 * and the view. One for each load of the page. It ends once, with `onEnd(why, detail)`: the reason of
 * backoff.js, and for `ended` its detail.
 */

import { endSession, lockSession, removeParticipant } from "./api.js";
import { now as clock } from "./clock.js";
import { Connection } from "./connection.js";
import { remaining, shortened } from "./format.js";
import { host } from "./keeping.js";
import { PeopleList } from "./list.js";
import { Locator } from "./locator.js";
import { MapView } from "./map.js";
import { EMPTY, everyone, expire, locatedMyself, reduce } from "./session.js";
import { copy, share } from "./sharing.js";

const TICK_MS = 1_000;
const GATHER_MS = 30;
/** A gap that is shorter than this is not worth a word. */
const PATIENCE_MS = 1_000;
const LEAVE_DEADLINE_MS = 2_000;
const SHORT_MS = 5 * 60_000;

const POSITION_HINTS = {
  asking: "Allow this page to use your position, so that the others see you.",
  denied:
    "You see the others, but they do not see you. Allow this page your position.",
  unavailable:
    "Your position cannot be found just now. The others see how old your last one is, and then none.",
  stale: "Your device gives only an old position. The others see how old it is.",
  insecure:
    "You see the others, but they do not see you: browsers share a position only with pages that " +
    "come over https.",
  unsupported: "You see the others, but they do not see you: this browser has no position to share.",
};

const byId = (id) => document.getElementById(id);
const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

export class Live {
  #id;
  #membership;
  #host; // {token, key}, or null
  #onEnd;
  #state = EMPTY;
  #link = { kind: "connecting", since: clock(), until: 0 };
  #position = "";
  #follow = "everyone";
  #connection;
  #locator;
  #map;
  #list;
  #ticker = 0;
  #showing = 0; // a timer
  #finished = false;

  /** `membership` is `{userId, token, url}`, as keeping.js keeps it. */
  constructor(id, membership, onEnd) {
    this.#id = id;
    this.#membership = membership;
    this.#host = host(id);
    this.#onEnd = onEnd;
    this.#map = new MapView(byId("map"), {
      tileUrl: meta("tile-url"),
      onFollow: (what) => this.#followed(what),
    });
    const pick = (userId) => {
      byId("unfold").setAttribute("aria-expanded", "false"); // it would hide the map on a phone
      this.#map.follow(userId);
    };
    this.#list = new PeopleList(byId("list"), pick, (userId) => this.#remove(userId));
    this.#connection = new Connection(membership.url, membership.token, {
      onMessage: (message) => this.#heard(message),
      onStatus: (kind, until) => this.#linked(kind, until),
      onEnd: (why) => this.#finish(why),
    });
    this.#locator = new Locator({
      send: (place) => this.#connection.send("location_update", place),
      onPlace: (place) => this.#set(locatedMyself(this.#state, place, clock())),
      onStatus: (status) => this.#positioned(status),
    });
    this.#wire();
  }

  start() {
    this.#connection.start();
    this.#locator.start();
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#tick();
  }

  // --- what happens

  #heard(message) {
    const before = this.#state;
    this.#set(reduce(before, message, clock()));
    if (message.type === "session_state") {
      this.#locator.connected();
    } else if (message.type === "participant_joined") {
      say(`${message.data.display_name} joined`);
    } else if (message.type === "participant_left") {
      const name = before.people.get(message.data.user_id)?.name;
      if (name) say(`${name} left`);
    } else if (message.type === "session_updated") {
      say(this.#state.session?.locked ? "The session is locked" : "The session is open again");
    } else if (message.type === "session_ended") {
      this.#finish("ended");
    }
  }

  #linked(kind, until) {
    if (kind === "live" || this.#link.kind === "live") this.#link.since = clock();
    this.#link = { ...this.#link, kind, until };
    this.#showLink();
  }

  #set(state) {
    if (state === this.#state || this.#finished) return;
    this.#state = state;
    if (this.#showing !== 0) return;
    // However many messages a flush of the server brings, they are shown once.
    this.#showing = setTimeout(() => {
      this.#showing = 0;
      this.#show();
    }, GATHER_MS);
  }

  #tick() {
    this.#state = expire(this.#state, clock());
    this.#show();
    this.#showLink();
  }

  #positioned(status) {
    if (status === this.#position) return; // what was dismissed stays so
    this.#position = status;
    notice(byId("position"), POSITION_HINTS[status] ?? "", status !== "asking");
  }

  #followed(what) {
    this.#follow = what;
    byId("follow-me").setAttribute("aria-pressed", String(what === "me"));
    byId("follow-everyone").setAttribute("aria-pressed", String(what === "everyone"));
    this.#show();
  }

  async #leave() {
    const sure = "The others no longer see you. With the link you can join again.";
    if ((await confirmed("Leave the session?", sure, "Leave")) === null) return;
    if (this.#connection.send("leave")) {
      // The server answers by closing, which ends this; do not wait for ever.
      setTimeout(() => this.#finish("left"), LEAVE_DEADLINE_MS);
      return;
    }
    const { userId, token } = this.#membership;
    await removeParticipant(this.#id, userId, token).catch(() => undefined);
    this.#finish("left");
  }

  async #end() {
    const sure = "The session is over for everyone, and its link leads nowhere.";
    if ((await confirmed("End the session?", sure, "End for everyone")) === null) return;
    try {
      await endSession(this.#id, this.#hostToken());
    } catch (error) {
      if (error.status !== 410) {
        this.#complain(`The session could not be ended. ${error.message}`);
        return;
      }
    }
    this.#state = { ...this.#state, ended: "ended_by_host" };
    this.#finish("ended");
  }

  /** The host's actions are allowed with the host's token, and with the one that it joined with. */
  #hostToken() {
    return this.#host?.token ?? this.#membership.token;
  }

  #isHost() {
    return this.#state.me?.role === "host" || this.#host !== null;
  }

  async #lock() {
    const locked = !this.#state.session.locked;
    byId("lock").disabled = true;
    try {
      await lockSession(this.#id, locked, this.#hostToken());
      this.#set(reduce(this.#state, { type: "session_updated", data: { locked } }, clock()));
    } catch (error) {
      this.#complain(`The session could not be ${locked ? "locked" : "opened"}. ${error.message}`);
    } finally {
      byId("lock").disabled = false;
    }
  }

  async #remove(userId) {
    const name = document.createElement("bdi");
    name.textContent = shortened(this.#state.people.get(userId)?.name ?? "", 40);
    const answer = await confirmed(
      ["Remove ", name, "?"],
      "They are told, and see nobody any more. To keep everyone out, lock the session.",
      "Remove",
      "Keep this device from joining again",
    );
    if (answer === null) return;
    try {
      await removeParticipant(this.#id, userId, this.#hostToken(), answer.option);
    } catch (error) {
      if (error.status !== 404) this.#complain(`They could not be removed. ${error.message}`);
    }
  }

  #complain(words) {
    notice(byId("position"), words, true);
    this.#position = ""; // and what it said before comes again when it changes
  }

  #finish(why) {
    if (this.#finished) return;
    this.#finished = true;
    this.#connection.stop();
    this.#locator.stop();
    clearInterval(this.#ticker);
    this.#onEnd(why, this.#state.ended);
  }

  // --- the view

  #show() {
    const { session, me } = this.#state;
    if (session === null || this.#finished) return;
    const now = clock();
    const people = everyone(this.#state);
    this.#map.show(people, now);
    const followed = this.#follow === "me" ? me.userId : this.#follow;
    const isHost = this.#isHost();
    this.#list.show(people, followed, now, isHost);
    const placed = people.filter((each) => each.place !== null).length;
    text(byId("unfold").firstElementChild, `${people.length} ${people.length === 1 ? "person" : "people"} · ${placed} on the map`);
    text(document.querySelector("#live h1"), session.name);
    document.title = `${session.name} · locshare`;
    byId("end").hidden = !isHost;
    document.querySelector(".host-tools").hidden = !isHost;
    byId("host-link").hidden = !this.#host?.key;
    byId("lock").setAttribute("aria-pressed", String(session.locked));
    text(byId("lock").lastElementChild, session.locked ? "Locked" : "Lock");
    const left = session.expiresAt - now;
    const line = document.querySelector(".left-over");
    const ends = left > 0 ? `ends in ${remaining(left)}` : "ends now";
    text(line, session.locked ? `${ends} · locked` : ends);
    line.classList.toggle("is-short", left < SHORT_MS);
  }

  #showLink() {
    const { kind, since, until } = this.#link;
    const now = clock();
    let said = "";
    let countdown = ""; // seen only: a screen reader would say it anew each second
    if (kind !== "live" && (this.#state.session === null || now - since > PATIENCE_MS)) {
      const seconds = Math.ceil((until - now) / 1000);
      if (this.#state.session === null && kind === "connecting") said = "Connecting …";
      else if (navigator.onLine === false) said = "You are offline. Positions may be old.";
      else {
        said = "Connection lost. Trying again";
        countdown = kind === "waiting" && seconds > 1 ? ` in ${seconds} s …` : " …";
      }
    }
    text(byId("connection").lastElementChild, countdown);
    notice(byId("connection"), said, kind === "waiting" || this.#state.session !== null);
  }

  #wire() {
    const attribution = document.querySelector(".attribution");
    attribution.textContent = meta("tile-attribution");
    attribution.hidden = attribution.textContent === "";
    byId("zoom-in").onclick = () => this.#map.zoom(1);
    byId("zoom-out").onclick = () => this.#map.zoom(-1);
    byId("follow-me").onclick = () => this.#map.follow("me");
    byId("follow-everyone").onclick = () => this.#map.follow("everyone");
    byId("leave").onclick = () => this.#leave();
    byId("end").onclick = () => this.#end();
    byId("lock").onclick = () => this.#lock();
    byId("host-link").onclick = async () => {
      const link = `${joinLink()}#host=${encodeURIComponent(this.#host.key)}`;
      if ((await copy(link)) === "failed") window.prompt("Your own link, to be the host", link);
      else flash(byId("host-link").firstElementChild, "Copied. Keep it to yourself.");
    };
    byId("share").onclick = async () => {
      const happened = await share(this.#state.session?.name ?? "locshare", joinLink());
      if (happened === "failed") window.prompt("The link to share", joinLink());
      if (happened !== "copied") return;
      say("Link copied");
      byId("share").classList.add("says");
      flash(byId("share").lastElementChild, "Copied", () => byId("share").classList.remove("says"));
    };
    byId("unfold").onclick = () => {
      const open = byId("unfold").getAttribute("aria-expanded") === "true";
      byId("unfold").setAttribute("aria-expanded", String(!open));
    };
    byId("position").querySelector("button").onclick = () => {
      byId("position").hidden = true;
    };
    // When a tab or the network comes back, its connection may be dead without an event.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden || this.#finished) return;
      this.#connection.probe();
      this.#locator.resume();
      this.#tick();
    });
    window.addEventListener("online", () => this.#finished || this.#connection.probe());
    window.addEventListener("offline", () => this.#finished || this.#showLink());
  }
}

/** What is passed on: the address without what came along with it. */
const joinLink = () => location.origin + location.pathname;

function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

function notice(element, value, warning) {
  text(element.firstElementChild, value);
  element.hidden = value === "";
  element.classList.toggle("is-warning", warning);
}

function say(words) {
  byId("said").textContent = words;
}

/** Show other words on a label for a moment. */
function flash(label, words, after = () => undefined) {
  label.dataset.usual ??= label.textContent;
  label.textContent = words;
  setTimeout(() => {
    label.textContent = label.dataset.usual;
    after();
  }, 2_500);
}

/** Ask a question, of text and elements; null unless the answer is yes, then `{option}`: whether the box beside `option` is ticked. */
function confirmed(question, explanation, yes, option = "") {
  const dialog = byId("sure");
  dialog.querySelector("h2").replaceChildren(...[question].flat());
  dialog.querySelector("p").textContent = explanation;
  dialog.querySelector("[value=yes]").textContent = yes;
  const box = dialog.querySelector("[type=checkbox]");
  box.checked = true;
  box.nextElementSibling.textContent = option;
  box.parentElement.hidden = option === "";
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((answer) => {
    dialog.onclose = () => answer(dialog.returnValue === "yes" ? { option: box.checked } : null);
  });
}
