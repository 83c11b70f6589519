/** The REST calls of docs/reference/rest.md that the pages need. Same origin, JSON, no cookies. */

/** An answer that is not a success. `status` 0: there was no answer. */
export class Refused extends Error {
  constructor(status, code, detail, retryAfter) {
    super(detail || code);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter; // seconds, or null
  }
}

const DEADLINE_MS = 15_000;
/** Relative to this file, since a proxy may serve all of it in a folder. */
const BASE = new URL("../api/sessions", import.meta.url).pathname;

async function call(method, path, { body, token } = {}) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  let answer;
  let text;
  try {
    answer = await fetch(`${BASE}${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout?.(DEADLINE_MS),
    });
    text = await answer.text();
  } catch {
    throw new Refused(0, "NO_ANSWER", "The server cannot be reached.", null);
  }
  let data = {};
  try {
    data = JSON.parse(text);
  } catch {
    // Perhaps a proxy's page: use the status.
  }
  if (answer.ok) return data;
  const wait = Number.parseInt(answer.headers.get("Retry-After") ?? "", 10);
  const detail = data.errors?.map((error) => error.message).join("; ") || data.detail;
  throw new Refused(answer.status, data.code ?? "", detail, Number.isNaN(wait) ? null : wait);
}

const at = (id) => `/${encodeURIComponent(id)}`;

export const createSession = (body) => call("POST", "", { body });
export const describeSession = (id) => call("GET", at(id));
export const joinSession = (id, body, token) => call("POST", `${at(id)}/join`, { body, token });
export const becomeHost = (id, key) => call("POST", `${at(id)}/host`, { body: { host_key: key } });
export const lockSession = (id, locked, token) =>
  call("PATCH", at(id), { body: { locked }, token });
export const endSession = (id, token) => call("DELETE", at(id), { token });
/** With the participant's own token: leave. With the host's: remove them, and with `ban` keep them out. */
export const removeParticipant = (id, userId, token, ban = false) =>
  call("DELETE", `${at(id)}/participants/${encodeURIComponent(userId)}${ban ? "?ban=true" : ""}`, {
    token,
  });
