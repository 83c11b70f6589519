/**
 * What the browser stores, never in an address. In sessionStorage, for this tab until it is closed:
 * the participant of this tab in a session. In localStorage, until the session is over: the host's
 * credentials, because phones close tabs at will, and the key by which a ban recognises this device;
 * for the next session: name and colour. Without storage the page works, but forgets on reload.
 */

/** Longer than any session: entries of older ones are useless. */
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

/** Store a value of a session, and delete those of sessions that must be over. */
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

/** `{userId, token, url}`: the participant of this tab in a session, or null. */
export const membership = (id) => read("sessionStorage", `locshare:${id}`);
export const keepMembership = (id, value) => write("sessionStorage", `locshare:${id}`, value);

/** `{token, key}` of a session whose host is this browser, or null. `key` may be missing. */
export const host = (id) => read("localStorage", HOST + id);
export const keepHost = (id, value) => keep(HOST + id, value);

/** The key by which a ban recognises this browser: random, one for each session. */
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
