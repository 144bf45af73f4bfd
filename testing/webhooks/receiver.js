// Receives webhooks and checks each with the official libraries, or by hand where none knows its
// signature: prints its port, then each request
// as a line of JSON. A line on standard input is the secret to check with from then on, and is
// answered by a line. It stops when standard input is closed.

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

const say = (what) => console.log(JSON.stringify(what));
let secret = "";

/** The headers of one family only, so that a library cannot fall back on the others. */
const only = (headers, prefix) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith(prefix)));

function check(name, Library, prefix, body, headers) {
  try {
    new Library(secret).verify(body, only(headers, prefix));
    return { library: name, verified: true };
  } catch (error) {
    return { library: name, verified: false, error: `${error.name}: ${error.message}` };
  }
}

/** `x-pd-signature`: HMAC-SHA256 over the time and the body, in hex, under the secret as text. */
function checkXPd(body, header) {
  const [, time, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header) ?? [];
  const wanted = createHmac("sha256", secret).update(`${time}.${body}`).digest("hex");
  const verified =
    signature !== undefined && timingSafeEqual(Buffer.from(signature), Buffer.from(wanted));
  return { library: "x-pd-signature", verified };
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks).toString("utf8");
    const xPd = request.headers["x-pd-signature"];
    const checks = xPd
      ? [checkXPd(body, xPd)]
      : [
          check("standardwebhooks", Standard, "webhook-", body, request.headers),
          check("svix", Svix, "svix-", body, request.headers),
          check("svix with the standard headers", Svix, "webhook-", body, request.headers),
        ];
    say({ path: request.url, headers: request.headers, body, checks });
    response.writeHead(checks.every((one) => one.verified) ? 204 : 400).end();
  });
});

server.listen(0, "127.0.0.1", () => {
  say({ port: server.address().port });
  createInterface({ input: process.stdin })
    .on("line", (line) => {
      secret = line;
      say({ secret: "set" });
    })
    .on("close", () => process.exit(0));
});
