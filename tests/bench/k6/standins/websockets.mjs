// k6/websockets on node's own WebSocket, as strict as k6: it ignores the second argument, takes few
// parameters, refuses to send unless open, and must not be closed while it connects.
//
// With SWALLOW=n in the environment every n-th location_update is kept from the script.

export const frames = [];

const PARAMETERS = new Set(['headers', 'tags', 'jar', 'compression']);
const EVENTS = new Set(['open', 'message', 'ping', 'pong', 'close', 'error']);
const swallow = Number(process.env.SWALLOW || 0);
let updates = 0;

export class WebSocket {
  constructor(url, _, parameters = {}) {
    const unknown = Object.keys(parameters).filter((name) => !PARAMETERS.has(name));
    if (unknown.length) {
      throw new Error(`unknown WebSocket's option ${unknown[0]}`);
    }
    const headers = parameters.headers || {};
    const offered = headers['Sec-WebSocket-Protocol'];
    const protocols = offered ? offered.split(', ') : [];
    this.inner = new globalThis.WebSocket(url, protocols);
  }

  get readyState() {
    return this.inner.readyState;
  }

  addEventListener(event, handler) {
    if (!EVENTS.has(event)) {
      throw new Error(`can't add event handler: ${event}`);
    }
    if (event === 'close') {
      this.whenClosed(handler);
      return;
    }
    this.inner.addEventListener(event, (what) => {
      if (event === 'message' && swallow && what.data.startsWith('{"type":"location_update"')) {
        updates += 1;
        if (updates % swallow === 0) {
          return;
        }
      }
      handler(what);
    });
  }

  // node 20 tells of a connection that never came about by an error alone; in k6 a close follows it.
  whenClosed(handler) {
    let told = false;
    const tell = (what) => {
      if (!told) {
        told = true;
        handler(what);
      }
    };
    this.inner.addEventListener('close', tell);
    this.inner.addEventListener('error', (what) => setTimeout(tell, 0, what));
  }

  send(text) {
    if (this.readyState !== 1) {
      throw new Error('InvalidStateError');
    }
    frames.push(text);
    this.inner.send(text);
  }

  close() {
    if (this.readyState === 0) {
      throw new Error('k6 would wait here for ever');
    }
    this.inner.close();
  }
}
