// The official client of Phoenix Channels (npm "phoenix") joins, pushes and listens; what happens
// goes to standard output, one JSON array per line. Arguments: address, token, topic, and options as
// JSON: vsn, firstRef, tokenInHeader.
import {createRequire} from "node:module";

const require = createRequire(process.env.MODULES + "/");
const {Socket} = require("phoenix");
const {WebSocket} = require("ws");
const [address, token, firstTopic, json] = process.argv.slice(2);
const {vsn = "2.0.0", firstRef = 0, tokenInHeader = false} = JSON.parse(json ?? "{}");
const say = (...what) => console.log(JSON.stringify(what));
const EVENTS = [
  "session_state", "location_update", "participant_joined", "participant_updated",
  "participant_left", "session_updated", "session_ended", "error",
];

const options = {transport: WebSocket, vsn, heartbeatIntervalMs: 300};
if (tokenInHeader) options.authToken = token;
else options.params = {token};
if (vsn === "1.0.0") { // the serializer that it had once, and that other clients still have
  options.encode = (message, done) => done(JSON.stringify(message));
  options.decode = (text, done) => done(JSON.parse(text));
}
const socket = new Socket(address, options);
socket.ref = firstRef;
socket.onError(() => say("socket error"));
socket.onOpen(() => say("open"));
socket.onClose((event) => say("socket closed", event.code));
socket.onMessage(({topic, payload}) => {
  if (topic === "phoenix") say("heartbeat answered", payload);
});
socket.connect();

const channels = {};
function join(topic, params) {
  const channel = channels[topic] = socket.channel(topic, params);
  for (const event of EVENTS) channel.on(event, (data) => say(event, data));
  channel.onClose((payload) => say("closed", payload));
  channel.onError(() => say("channel error"));
  channel.join()
    .receive("ok", (answer) => say("joined", answer, channel.joinRef()))
    .receive("error", (answer) => say("join refused", answer));
}
join(firstTopic, {});

// Every line of standard input is a push: [event, payload, topic], or ["leave"], ["join", params,
// topic], ["raw", text]. The topic may be absent.
let rest = "";
process.stdin.on("data", (data) => {
  const lines = (rest + data).split("\n");
  rest = lines.pop();
  for (const line of lines) {
    const [event, payload, topic = firstTopic] = JSON.parse(line);
    if (event === "leave") channels[topic].leave().receive("ok", () => say("left"));
    else if (event === "join") join(topic, payload);
    else if (event === "raw") socket.conn.send(payload);
    else {
      channels[topic].push(event, payload)
        .receive("ok", (answer) => say("pushed", event, answer))
        .receive("error", (answer) => say("push refused", answer));
    }
  }
});
process.stdin.on("end", () => socket.disconnect(() => process.exit(0)));
