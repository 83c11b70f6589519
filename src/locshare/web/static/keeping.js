/**
 * What the browser remembers. Tokens: in this tab only, until it is closed (sessionStorage), never
 * in an address. Name and colour, for the next time: localStorage. A browser that forbids storage
 * forgets on reload, nothing else.
 */

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

/** `{userId, token, url}` of who this tab is in a session, or null. */
export const membership = (id) => read("sessionStorage", `locshare:${id}`);
export const keepMembership = (id, value) => write("sessionStorage", `locshare:${id}`, value);

/** The host's token of a session made in this tab, or null. */
export const hostToken = (id) => read("sessionStorage", `locshare-host:${id}`);
export const keepHostToken = (id, value) => write("sessionStorage", `locshare-host:${id}`, value);

/** `{name, color}` as last used, or null. */
export const profile = () => read("localStorage", "locshare-profile");
export const keepProfile = (value) => write("localStorage", "locshare-profile", value);
