// What every browser phone of the bench needs of its page, and how it tells what happens: JSON lines, {"event", "at"}.
// A line on standard input is an event of the browser's window ("online", "offline"). It ends with its standard input.
import { createInterface } from "node:readline";
import WebSocket from "ws";

const page = new EventTarget();

export function tell(event, facts = {}) {
  process.stdout.write(`${JSON.stringify({ event, at: Date.now() / 1000, ...facts })}\n`);
}

// As in a browser: a window that hears of the network, and WebSockets that send no ping and obey no proxy.
export function browser() {
  globalThis.window = globalThis;
  globalThis.addEventListener = page.addEventListener.bind(page);
  globalThis.removeEventListener = page.removeEventListener.bind(page);
  globalThis.RTCPeerConnection = class {};
  globalThis.WebSocket = class extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { perMessageDeflate: false, rejectUnauthorized: true });
      this.on("error", () => {}); // nobody need listen in a browser
    }
  };
  // A promise that nobody awaits ends Node, and only fills the console of a page.
  process.on("unhandledRejection", (error) => process.stderr.write(`unhandled: ${error}\n`));
  process.on("uncaughtException", (error) => process.stderr.write(`uncaught: ${error?.stack}\n`));
  createInterface({ input: process.stdin })
    .on("line", (line) => page.dispatchEvent(new Event(line)))
    .on("close", () => process.exit(0));
  const [uri, user, password, variant = ""] = process.argv.slice(2);
  return { servers: uri.split(","), host: new URL(uri.split(",")[0]).hostname, user, password, variant };
}
