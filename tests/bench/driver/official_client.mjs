// The official client of Phoenix Channels (npm "phoenix") joins, pushes and listens; what happens
// goes to standard output, one JSON array per line. Arguments: address, token, topic.
import {createRequire} from "node:module";

const require = createRequire(process.env.MODULES + "/");
const {Socket} = require("phoenix");
const {WebSocket} = require("ws");
const [address, token, topic] = process.argv.slice(2);
const say = (...what) => console.log(JSON.stringify(what));

const socket = new Socket(address, {
  params: {token}, transport: WebSocket, vsn: "2.0.0", heartbeatIntervalMs: 300,
});
socket.onError(() => say("socket error"));
socket.onOpen(() => say("open"));
socket.connect();

const channel = socket.channel(topic, {});
channel.on("location_update", (data) => say("location_update", data));
channel.onClose(() => say("closed"));
channel.onError(() => say("channel error"));
channel.join()
  .receive("ok", (answer) => say("joined", answer))
  .receive("error", (answer) => say("join refused", answer));

// Every line of standard input is a push: [event, payload], or ["leave"].
let rest = "";
process.stdin.on("data", (data) => {
  const lines = (rest + data).split("\n");
  rest = lines.pop();
  for (const line of lines) {
    const [event, payload] = JSON.parse(line);
    if (event === "leave") channel.leave().receive("ok", () => say("left"));
    else {
      channel.push(event, payload).receive("error", (answer) => say("push refused", answer));
    }
  }
});
process.stdin.on("end", () => socket.disconnect(() => process.exit(0)));
