/**
 * What the browser remembers, never in an address. In this tab only, until it is closed
 * (sessionStorage): who one is in a session. Beyond the tab (localStorage), until the session is over:
 * that one is its host, since phones close tabs as they like, and by what a ban knows this device
 * again. Name and colour: for the next time. A browser that forbids storage forgets on reload,
 * nothing else.
 */

/** Longer than any session: then what is kept of one is of no use to anybody. */
const KEPT_MS = 48 * 3_600_000;
const HOST = "locshare-host:";
const DEVICE = "locshare-device:";

function read(storage, key) {
  try {
    return JSON.parse(window[storage].getItem(key));
  } catch {
    return null;
  }
}

function write(storage, key, value) {
  try {
    if (value === null) window[storage].removeItem(key);
    else window[storage].setItem(key, JSON.stringify(value));
  } catch {
    // Forbidden or full: go on without.
  }
}

/** Keep something of a session, and forget what is kept of sessions that must be over. */
function keep(key, value) {
  write("localStorage", key, value === null ? null : { ...value, keptAt: Date.now() });
  try {
    for (const other of Object.keys(localStorage)) {
      if (!other.startsWith(HOST) && !other.startsWith(DEVICE)) continue;
      const age = Date.now() - read("localStorage", other)?.keptAt;
      if (!(Math.abs(age) < KEPT_MS)) localStorage.removeItem(other);
    }
  } catch {
    // As above.
  }
}

/** `{userId, token, url}` of who this tab is in a session, or null. */
export const membership = (id) => read("sessionStorage", `locshare:${id}`);
export const keepMembership = (id, value) => write("sessionStorage", `locshare:${id}`, value);

/** `{token, key}` of a session of which this browser is the host, or null; `key` may be missing. */
export const host = (id) => read("localStorage", HOST + id);
export const keepHost = (id, value) => keep(HOST + id, value);

/** By what a ban knows this browser again: chance, another for each session. */
export function deviceKey(id) {
  const kept = read("localStorage", DEVICE + id)?.key;
  if (typeof kept === "string") return kept;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const key = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  keep(DEVICE + id, { key });
  return key;
}

/** `{name, color}` as last used, or null. */
export const profile = () => read("localStorage", "locshare-profile");
export const keepProfile = (value) => write("localStorage", "locshare-profile", value);
