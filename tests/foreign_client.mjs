// As tests/foreign_client.py, with the clients from npm: "ws", "websocket" (its client and its
// W3C interface), and node's own. Arguments: the client, and JSON with url, protocols, headers.
import {createRequire} from "node:module";
import {createInterface} from "node:readline";

const require = createRequire(process.env.MODULES + "/");
const [library, json] = process.argv.slice(2);
const {url, protocols = [], headers = {}} = JSON.parse(json);
const say = (line) => console.log(line);
const failed = (error) => say(`FAILED ${error?.message ?? error}`);

function pump(send, ping, close) {
  createInterface({input: process.stdin})
    .on("line", (line) => (line === "PING" ? ping() : send(line)))
    .on("close", close);
}

if (library === "ws") {
  const {WebSocket} = require("ws");
  const socket = new WebSocket(url, protocols, {headers});
  socket.on("open", () => {
    say(`OPEN ${socket.protocol}`);
    pump((line) => socket.send(line), () => socket.ping("there?"), () => socket.close());
  });
  socket.on("message", (data) => say(data.toString()));
  socket.on("pong", () => say("PONG"));
  socket.on("error", failed);
} else if (library === "websocket") {
  const {client: Client} = require("websocket");
  const client = new Client();
  client.on("connectFailed", failed);
  client.on("connect", (connection) => {
    say(`OPEN ${connection.protocol ?? ""}`);
    connection.on("message", (message) => say(message.utf8Data));
    connection.on("pong", () => say("PONG"));
    pump(
      (line) => connection.sendUTF(line), () => connection.ping("there?"), () => connection.close(),
    );
  });
  client.connect(url, protocols, undefined, headers);
} else { // the interface of browsers, which has no ping
  const Socket = library === "w3c" ? require("websocket").w3cwebsocket : globalThis.WebSocket;
  const socket = new Socket(url, protocols);
  socket.onopen = () => {
    say(`OPEN ${socket.protocol ?? ""}`);
    pump((line) => socket.send(line), () => say("PONG"), () => socket.close());
  };
  socket.onmessage = ({data}) => say(data);
  socket.onerror = failed;
}
