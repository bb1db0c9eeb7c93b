// JsSIP as it comes. Usage: node jssip.js URI[,URI] USER PASSWORD
import { createRequire } from "node:module";
import { browser, tell } from "./phone.js";

const { servers, host, user, password } = browser();
const JsSIP = createRequire(import.meta.url)("jssip");
const agent = new JsSIP.UA({
  sockets: servers.map((server) => new JsSIP.WebSocketInterface(server)),
  uri: `sip:${user}@${host}`,
  password,
});
agent.on("connected", () => tell("transportConnected"));
agent.on("connecting", () => tell("reconnectionAttempting"));
agent.on("disconnected", () => tell("transportDisconnected"));
agent.on("registered", () => tell("registered"));
agent.on("unregistered", () => tell("unregistered"));
agent.on("registrationFailed", ({ cause }) => tell("registrationFailed", { cause }));
agent.on("newRTCSession", ({ originator }) => { if (originator === "remote") tell("incomingCall"); });
agent.start();
