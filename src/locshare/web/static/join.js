/**
 * `/join/{id}`: what is to be seen, one after the other: a moment of waiting, the form, the map, and
 * how it ended. A reload in the same tab comes back to the map as the same participant. The host's
 * link is the same with `#host=KEY`, which is exchanged for the host's token and taken out of the
 * address at once: what is in the address bar is passed on.
 */

import { becomeHost, describeSession, joinSession } from "./api.js";
import {
  deviceKey, host, keepHost, keepMembership, keepProfile, membership, profile,
} from "./keeping.js";
import { Live } from "./live.js";

const COLORS = [
  ["Red", "#d7263d"], ["Orange", "#f46036"], ["Amber", "#e8a200"], ["Green", "#3a8f3a"],
  ["Teal", "#0e9594"], ["Blue", "#2f6fde"], ["Violet", "#7a4fd0"], ["Pink", "#d6479f"],
];

const ENDED = {
  expired: "Its time was up.",
  ended_by_host: "The host has ended it.",
  inactive: "Nobody was there any more.",
  internal_error: "Something went wrong on the server.",
};

const id = decoded(location.pathname.split("/").at(-1)).toLowerCase();
const byId = (name) => document.getElementById(name);

/** What there is to say in each of the ends. `retry` is the label of a button that tries again. */
const MESSAGES = {
  unknown: {
    title: "There is no such session",
    text: "The link is not complete, or the session ended some time ago.",
  },
  ended: { title: "This session has ended", text: "" },
  left: { title: "You have left", text: "The others no longer see you.", retry: "Join again" },
  removed: {
    title: "You are no longer in this session",
    text: "You left it, or its host removed you.",
    retry: "Join again",
  },
  replaced: {
    title: "Open somewhere else",
    text: "This session is open in another tab, as the same person.",
    retry: "Use it here",
  },
  failed: {
    title: "This page and the server do not understand each other",
    text: "Reloading may help.",
    retry: "Reload",
  },
  unreachable: { title: "The server cannot be reached", text: "", retry: "Try again" },
};

start();

async function start() {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) return tell("unknown");
  try {
    const isHost = await comeAsHost();
    const kept = membership(id);
    if (kept !== null) return goLive(kept);
    const session = await describeSession(id);
    if (!session.is_active) return tell("ended");
    showForm(session, isHost);
  } catch (error) {
    refused(error);
  }
}

/** Become the host by the key in the address, and take it out; null when it is refused. */
async function comeAsHost() {
  // No more than the key: messengers leave a full stop or a bracket on this link too.
  const key = decoded(location.hash).match(/[#&]host=([\w-]+)/)?.[1];
  if (key === undefined) return host(id) !== null;
  let answer = null;
  try {
    answer = await becomeHost(id, key);
  } catch (error) {
    if (error.status !== 403 && error.status !== 400) throw error; // a reload tries again
  }
  history.replaceState(null, "", location.pathname + location.search);
  if (answer === null) return null;
  keepHost(id, { token: answer.host_token, key });
  return true;
}

// In a tab that shows the session already a browser goes to the host's link without loading it.
window.addEventListener("hashchange", () => location.hash.includes("host=") && location.reload());

function refused(error) {
  if (error.status === 404 || error.status === 400) tell("unknown");
  else if (error.status === 410) tell("ended");
  else tell("unreachable", error.message);
}

// --- the form

function showForm(session, isHost) {
  const section = byId("join");
  const form = section.querySelector("form");
  const kept = profile();
  section.querySelector("h1").textContent = session.name;
  const count = session.participant_count;
  section.querySelector(".lead").textContent =
    count === 0 ? "Nobody is here yet." : count === 1 ? "1 person is here." : `${count} people are here.`;
  const hints = [];
  if (isHost) hints.push("You are its host.");
  if (isHost === null) hints.push("The host's link is not the right one: you join like everyone else.");
  if (session.locked && !isHost) hints.push("The host has locked it: nobody else can join.");
  section.querySelector(".hint").textContent = hints.join(" ");
  section.querySelector(".hint").hidden = hints.length === 0;
  document.title = `${session.name} · locshare`;
  showColors(form.querySelector(".colors"), kept?.color ?? COLORS[Math.floor(Math.random() * COLORS.length)][1]);
  form.elements.name.value = typeof kept?.name === "string" ? kept.name : "";
  form.onsubmit = (event) => {
    event.preventDefault();
    join(form);
  };
  byId("message").hidden = true;
  section.hidden = false;
  form.elements.name.focus();
}

function showColors(box, chosen) {
  const known = COLORS.some(([, color]) => color === chosen) ? chosen : COLORS[0][1];
  for (const [name, color] of COLORS) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    const dot = document.createElement("span");
    label.title = name;
    input.type = "radio";
    input.name = "color";
    input.value = color;
    input.checked = color === known;
    input.setAttribute("aria-label", name);
    dot.style.setProperty("--color", color);
    label.append(input, dot);
    box.append(label);
  }
}

async function join(form) {
  const button = form.querySelector(".primary");
  const problem = form.querySelector(".problem");
  const name = form.elements.name.value.trim();
  const color = form.elements.color.value;
  problem.hidden = true;
  button.disabled = true;
  try {
    const body = { display_name: name, avatar_color: color, device_key: deviceKey(id) };
    const joined = await joinSession(id, body, host(id)?.token);
    const kept = { userId: joined.user_id, token: joined.websocket_token, url: joined.websocket_url };
    keepMembership(id, kept);
    keepProfile({ name, color });
    goLive(kept);
  } catch (error) {
    if (error.status === 404 || error.status === 410) {
      refused(error);
    } else {
      problem.textContent = whyNot(error);
      problem.hidden = false;
    }
  } finally {
    button.disabled = false;
  }
}

function whyNot(error) {
  if (error.code === "SESSION_LOCKED") return "The host has locked the session: nobody else can join.";
  if (error.code === "BANNED") return "The host has removed you, and lets you join no more.";
  if (error.code === "SESSION_FULL") return "The session is full.";
  if ((error.status === 401 || error.status === 403) && host(id) !== null) {
    keepHost(id, null);
    return "You are no longer the host of this session. Try again, to join like everyone else.";
  }
  return `That did not work. ${error.message}`;
}

// --- the map, and the end

function goLive(kept) {
  byId("door").hidden = true;
  byId("live").hidden = false;
  new Live(id, kept, finished).start();
  document.querySelector("#live h1").focus();
}

function finished(why, reason) {
  if (why !== "replaced" && why !== "failed") keepMembership(id, null);
  if (why === "ended") keepHost(id, null);
  if (why === "rejoin") location.reload();
  else tell(why, why === "ended" ? (ENDED[reason] ?? "") : undefined);
}

function tell(what, detail) {
  const { title, text, retry } = MESSAGES[what];
  const section = byId("message");
  const button = section.querySelector("button");
  section.dataset.state = what;
  section.querySelector("h1").textContent = title;
  section.querySelector(".lead").textContent = detail ?? text;
  button.hidden = retry === undefined;
  button.textContent = retry ?? "";
  button.onclick = () => location.reload();
  section.querySelector("a").hidden = retry !== undefined;
  document.title = `${title} · locshare`;
  byId("live").hidden = true;
  byId("join").hidden = true;
  section.hidden = false;
  byId("door").hidden = false;
  if (byId("sure").open) byId("sure").close("no");
  section.querySelector("h1").focus();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
