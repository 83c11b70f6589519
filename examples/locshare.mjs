/** A locshare client in one module, for Node (22 or newer) and for browsers. */

/** The close codes after which to come back, with the least wait in seconds. */
const COME_BACK = {
  1001: 1, 1005: 1, 1006: 1, 1011: 1, 1012: 1, 1013: 5, 4408: 1, 4429: 10, 4508: 1,
};

/** Others after which not to. A code in neither table says it by its range. */
const STAY_AWAY = [1000, 1002, 1007, 1009];

export function comesBack(code) {
  if (code in COME_BACK) return true;
  return !STAY_AWAY.includes(code) && !(code >= 4000 && code <= 4499);
}

/** Join the session of a join link. Gives `user_id`, `websocket_url` and `websocket_token`. */
export async function join(link, name) {
  const [server, path] = link.split('/join/');
  const [sessionId, linkKey] = [path.slice(0, 36), path.slice(37)];
  const answer = await fetch(`${server}/api/sessions/${sessionId}/join`, {
    method: 'POST',
    headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({display_name: name, link_key: linkKey}),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(`${body.code}: ${body.detail}`);
  return body;
}

/**
 * Stay connected as `me`. Calls `onMessage(type, data)` for each message and `onEnd(code)` once,
 * when coming back cannot work. Gives a function that sends a position.
 */
export function connect(me, onMessage, onEnd) {
  let socket;
  let tries = 0;
  const open = () => {
    socket = new WebSocket(me.websocket_url, [
      'locshare.v1', `locshare.bearer.${me.websocket_token}`,
    ]);
    socket.onmessage = event => {
      tries = 0;
      const {type, data} = JSON.parse(event.data);
      onMessage(type, data);
    };
    socket.onclose = event => {
      if (!comesBack(event.code)) return onEnd(event.code);
      const wait = (COME_BACK[event.code] ?? 1) + Math.random() * Math.min(2 ** tries++, 30);
      setTimeout(open, wait * 1000);
    };
  };
  open();
  return position => {
    if (socket.readyState !== WebSocket.OPEN) return; // the next one will be newer
    socket.send(JSON.stringify({type: 'location_update', data: position}));
  };
}
