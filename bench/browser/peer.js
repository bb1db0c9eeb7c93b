// Chromium with page.js, told what to do by JSON lines: {"verb": NAME, "arguments": [...]} in, {"result"|"error"} out.
// Usage: node peer.js CHROMIUM PROFILE_DIRECTORY SOUND.wav      It ends with its standard input.
import { createServer } from "node:http";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const [executablePath, profile, sound] = process.argv.slice(2);
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const bundle = await build({
  entryPoints: [`${dirname(fileURLToPath(import.meta.url))}/page.js`],
  bundle: true,
  write: false,
  define: { global: "window" },
});
// A page of http://127.0.0.1 is a secure context: without one there is no microphone.
const server = createServer((request, response) => {
  const script = request.url === "/page.js";
  response.setHeader("content-type", script ? "text/javascript" : "text/html");
  response.end(script ? bundle.outputFiles[0].text : '<!doctype html><title>peer</title><script src="page.js"></script>');
});
await new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });

const browser = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  ignoreHTTPSErrors: true,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--ignore-certificate-errors",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    `--use-file-for-fake-audio-capture=${sound}`, "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
  ],
});
const page = browser.pages()[0] ?? await browser.newPage();
page.on("pageerror", (error) => process.stderr.write(`${error}\n`));
await page.goto(`http://127.0.0.1:${server.address().port}/`);
say({ result: browser.browser()?.version() ?? await page.evaluate(() => navigator.userAgent) });

for await (const line of createInterface({ input: process.stdin })) {
  const { verb, arguments: given } = JSON.parse(line);
  try {
    if (verb === "closeTab") {
      await page.close({ runBeforeUnload: true });
      say({ result: true });
    } else say({ result: await page.evaluate(([name, values]) => window.phone[name](...values), [verb, given]) });
  } catch (error) {
    say({ error: String(error) });
  }
}
await browser.close();
server.close();
