// A browser phone: registers, calls, takes calls, and listens to what it hears. In the page as `window.phone`.
import JsSIP from "jssip";

const SOUND = { audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false }, video: false };
const MEDIA = { mediaConstraints: SOUND, pcConfig: { iceServers: [] } };

let agent;
let session;
let state = "none";
let analyser;

// Chromium decodes a remote track only while an element plays it; the analyser then hears what the element hears.
function listen(stream) {
  const player = new Audio();
  player.srcObject = stream;
  player.play();
  const context = new AudioContext();
  analyser = context.createAnalyser();
  analyser.fftSize = 16384;
  analyser.smoothingTimeConstant = 0;
  context.createMediaStreamSource(stream).connect(analyser);
  context.resume();
}

function take(next) {
  session = next;
  state = next.direction === "incoming" ? "ringing" : "calling";
  next.on("confirmed", () => { state = "active"; });
  next.on("ended", () => { state = "ended"; });
  next.on("failed", ({ cause }) => { state = `failed: ${cause}`; });
  const watch = (connection) => connection.addEventListener("track", ({ streams }) => listen(streams[0]));
  if (next.connection) watch(next.connection);
  else next.on("peerconnection", ({ peerconnection }) => watch(peerconnection));
}

// The strongest frequency now, in Hz, and how far it stands above the mean of the telephone band, in dB.
function heard() {
  if (!analyser) return null;
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  const width = analyser.context.sampleRate / analyser.fftSize;
  const band = bins.slice(Math.ceil(200 / width), Math.floor(3500 / width));
  const peak = band.reduce((best, value, place) => (value > band[best] ? place : best), 0);
  if (!Number.isFinite(band[peak])) return null;
  const powers = band.map((value) => 10 ** (value / 10));
  const mean = powers.reduce((sum, power) => sum + power, 0) / powers.length;
  return { hz: (peak + Math.ceil(200 / width)) * width, above_db: 10 * Math.log10(powers[peak] / mean) };
}

async function statistics() {
  const found = { received: 0, lost: 0, jitter_ms: 0, sent: 0, dtls: null, srtp: null, codec: null };
  if (!session?.connection) return found;
  const reports = [...(await session.connection.getStats()).values()];
  for (const report of reports) {
    if (report.type === "inbound-rtp") {
      found.received = report.packetsReceived;
      found.lost = report.packetsLost;
      found.jitter_ms = report.jitter * 1000;
      found.codec = reports.find(({ id }) => id === report.codecId)?.mimeType ?? null;
    } else if (report.type === "outbound-rtp") {
      found.sent = report.packetsSent;
    } else if (report.type === "transport") {
      found.dtls = report.dtlsState;
      found.srtp = report.srtpCipher ?? null;
    }
  }
  return found;
}

window.phone = {
  register(server, user, password) {
    const socket = new JsSIP.WebSocketInterface(server);
    agent = new JsSIP.UA({ sockets: [socket], uri: `sip:${user}@${new URL(server).hostname}`, password });
    agent.on("newRTCSession", (event) => take(event.session));
    return new Promise((resolve, reject) => {
      agent.on("registered", () => resolve(true));
      agent.on("registrationFailed", ({ cause }) => reject(new Error(cause)));
      agent.start();
    });
  },
  call(target) { agent.call(target, MEDIA); return true; },
  answer() { session.answer(MEDIA); return true; },
  hangUp() { session.terminate(); return true; },
  async figures() { return { state, registered: agent.isRegistered(), heard: heard(), ...(await statistics()) }; },
};
