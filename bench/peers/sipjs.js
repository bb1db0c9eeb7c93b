// SIP.js's SessionManager: as it comes, or with everything on. Usage: node sipjs.js URI USER PASSWORD [on]
import { browser, tell } from "./phone.js";

const { servers, host, user, password, variant } = browser();
const { SessionManager } = await import("sip.js/lib/platform/web/index.js");
// The original's values: ten attempts, two seconds, OPTIONS every 90 s.
const everything = {
  reconnectionAttempts: 10, reconnectionDelay: 2,
  registrationRetry: true, registrationRetryInterval: 2, optionsPingInterval: 90,
};
const manager = new SessionManager(servers[0], {
  aor: `sip:${user}@${host}`,
  userAgentOptions: { authorizationUsername: user, authorizationPassword: password, logLevel: "error" },
  ...(variant === "on" ? everything : {}),
  delegate: {
    onServerConnect: () => tell("transportConnected"),
    onServerDisconnect: () => tell("transportDisconnected"),
    onRegistered: () => tell("registered"),
    onUnregistered: () => tell("unregistered"),
    onCallReceived: () => tell("incomingCall"),
  },
});
// The library tells of no attempt; each one is a call of reconnect.
const reconnect = manager.userAgent.reconnect.bind(manager.userAgent);
manager.userAgent.reconnect = () => { tell("reconnectionAttempting"); return reconnect(); };
await manager.connect();
await manager.register();
