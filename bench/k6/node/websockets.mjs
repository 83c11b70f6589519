// k6/websockets on node's own WebSocket, as strict as k6: it ignores the second argument, takes few
// parameters, refuses to send unless open, and must not be closed while it connects.
//
// With SWALLOW=n in the environment every n-th location_update is kept from the script.

export const frames = [];

const PARAMETERS = new Set(["headers", "tags", "jar", "compression"]);
const swallow = Number(process.env.SWALLOW || 0);
let updates = 0;

function swallowed(text) {
  if (!swallow || !text.startsWith('{"type":"location_update"')) {
    return false;
  }
  updates += 1;
  return updates % swallow === 0;
}

export class WebSocket {
  constructor(url, _, parameters = {}) {
    const unknown = Object.keys(parameters).filter((name) => !PARAMETERS.has(name));
    if (unknown.length) {
      throw new Error(`unknown WebSocket's option ${unknown[0]}`);
    }
    const headers = parameters.headers || {};
    const offered = headers["Sec-WebSocket-Protocol"];
    const protocols = offered ? offered.split(", ") : [];
    this.inner = new globalThis.WebSocket(url, protocols);
    this.failed = false;
    this.handlers = { open: [], message: [], ping: [], pong: [], close: [], error: [] };
    this.inner.addEventListener("open", (event) => this.tell("open", event));
    this.inner.addEventListener("message", (event) => {
      if (!swallowed(event.data)) {
        this.tell("message", event);
      }
    });
    this.inner.addEventListener("error", (event) => {
      // Where no connection came about, node 20 tells of an error only and goes on connecting.
      const failed = this.inner.readyState === 0;
      this.failed ||= failed;
      this.tell("error", event);
      if (failed) {
        this.tell("close", event);
      }
    });
    this.inner.addEventListener("close", (event) => {
      if (!this.failed) {
        this.tell("close", event);
      }
    });
  }

  get readyState() {
    return this.failed ? 3 : this.inner.readyState;
  }

  addEventListener(event, handler) {
    if (!this.handlers[event]) {
      throw new Error(`can't add event handler: ${event}`);
    }
    this.handlers[event].push(handler);
  }

  tell(name, event) {
    this.handlers[name].forEach((handler) => handler(event));
  }

  send(text) {
    if (this.readyState !== 1) {
      throw new Error("InvalidStateError");
    }
    if (process.env.RECORD) {
      frames.push(text);
    }
    this.inner.send(text);
  }

  close() {
    if (this.readyState === 0) {
      throw new Error("k6 would wait here for ever");
    }
    this.inner.close();
  }
}
