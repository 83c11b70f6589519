// What goes over the wire: the REST calls of docs/reference/rest.md and the messages of docs/reference/protocol.md.

import http from "k6/http";

const TRIES = 6;
const LONGEST_WAIT_S = 10;

// --- messages ---------------------------------------------------------------------------------

/** A position report, as the text of one frame. `position` has the fields of docs/reference/protocol.md. */
export function locationUpdate(position) {
  return JSON.stringify({ type: "location_update", data: position });
}

/** Leave for good; the server closes the connection with 1000. */
export function leave() {
  return JSON.stringify({ type: "leave", data: {} });
}

/**
 * The constructor parameters of a WebSocket. The token goes into a header, which stays out of logs
 * and of k6's URL tags. As a header and not as the second argument, which k6 ignored for long.
 */
export function socketParameters(token) {
  return {
    headers: { "Sec-WebSocket-Protocol": `locshare.v1, locshare.bearer.${token}` },
    tags: { name: "/ws" },
  };
}

/** Where a participant connects: `answered` by the join, with another front if one is given. */
export function socketUrl(answered, wsUrl) {
  return wsUrl ? wsUrl + answered.replace(/^wss?:\/\/[^/]*/, "") : answered;
}

// --- requests: each resolves to the answer's body, or to null when there is none to be had -------

/** {session_id, host_token, …} */
export function createSession(httpUrl, name) {
  return request("POST", `${httpUrl}/api/sessions`, "/api/sessions", { name });
}

/** {user_id, websocket_token, websocket_url} */
export function join(httpUrl, sessionId, name, color) {
  const body = { display_name: name, avatar_color: color };
  const url = `${httpUrl}/api/sessions/${sessionId}/join`;
  return request("POST", url, "/api/sessions/{id}/join", body);
}

/** {success} */
export function endSession(httpUrl, sessionId, hostToken) {
  const url = `${httpUrl}/api/sessions/${sessionId}`;
  return request("DELETE", url, "/api/sessions/{id}", null, hostToken);
}

async function request(method, url, name, body, token) {
  const headers = body === null ? {} : { "Content-Type": "application/json" };
  if (token) {
    headers.Authorization = `Bearer ${token}`;
  }
  // Without a name each session would be a time series of its own.
  const parameters = { headers, tags: { name } };
  const text = body === null ? null : JSON.stringify(body);
  for (let attempt = 1; ; attempt += 1) {
    const answer = await http.asyncRequest(method, url, text, parameters);
    if (answer.status >= 200 && answer.status < 300) {
      return answer.json();
    }
    const later = answer.status === 429 || answer.status === 503;
    if (!later || attempt === TRIES) {
      return null;
    }
    const asked = Number(answer.headers["Retry-After"]) || 1;
    await sleep(Math.min(asked, LONGEST_WAIT_S) * 1000);
  }
}

/** Resolves after so many milliseconds; k6's own `sleep` would stop everybody of the VU. */
export function sleep(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.max(ms, 0));
  });
}
