/** `/`: make a session, get its link, go in. */

import { createSession } from "./api.js";
import { keepHost } from "./keeping.js";
import { canShare, copy, share } from "./sharing.js";

const byId = (id) => document.getElementById(id);
const form = document.querySelector("#create form");
const problem = form.querySelector(".problem");
const button = form.querySelector("button");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  problem.hidden = true;
  button.disabled = true;
  try {
    const name = form.elements.name.value.trim();
    const minutes = Number(form.elements.duration.value);
    show(await createSession({ name: name || null, expires_in_minutes: minutes }));
  } catch (error) {
    problem.textContent = `That did not work. ${error.message}`;
    problem.hidden = false;
  } finally {
    button.disabled = false;
  }
});

function show(session) {
  keepHost(session.session_id, { token: session.host_token, key: session.host_key });
  const section = byId("created");
  section.querySelector("h1").textContent = session.name;
  byId("link").value = session.join_link;
  byId("host-link").value = session.host_url ?? "";
  byId("host").hidden = session.host_url === undefined;
  // Of this origin, whose storage has the host's token, whatever the public address is.
  byId("enter").href = `join/${encodeURIComponent(session.session_id)}`;
  byId("create").hidden = true;
  section.hidden = false;
  section.querySelector("h1").focus();

  byId("share").hidden = !canShare;
  byId("share").onclick = () => share(session.name, session.join_link);
  copying(byId("copy"), byId("link"));
  copying(byId("copy-host"), byId("host-link"));
}

function copying(button, field) {
  field.onfocus = () => field.select();
  button.onclick = async () => {
    const copied = (await copy(field.value)) === "copied";
    button.textContent = copied ? "Copied" : "Copy it by hand";
    document.querySelector("[role=status]").textContent = copied ? "Link copied" : "";
    if (!copied) field.focus();
  };
}
