// OAuth 1.0 (RFC 5849) by HMAC-SHA256 and without a token: for APIs whose old callers sign so. Prefer message signatures.

import { createHmac, randomUUID } from "node:crypto";

const { API, KEY_ID, SECRET } = process.env; // SECRET in base64

const encoded = (text) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

function authorization(method, url) {
  const oauth = {
    oauth_consumer_key: KEY_ID,
    oauth_nonce: randomUUID(),
    oauth_signature_method: "HMAC-SHA256",
    oauth_timestamp: String(Math.floor(Date.now() / 1000)),
    oauth_version: "1.0",
  };
  const { origin, pathname, searchParams } = new URL(url);
  const pairs = [...searchParams, ...Object.entries(oauth)].map((pair) => pair.map(encoded));
  // By name, then by value, as bytes: what is encoded is ASCII.
  pairs.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : 1));
  const parameters = pairs.map((pair) => pair.join("=")).join("&");
  const base = [method, origin + pathname, parameters].map(encoded).join("&");
  const key = `${encoded(Buffer.from(SECRET, "base64").toString("latin1"))}&`;
  oauth.oauth_signature = createHmac("sha256", key).update(base).digest("base64");
  return `OAuth ${Object.entries(oauth).map(([name, value]) => `${name}="${encoded(value)}"`).join(", ")}`;
}

const url = `${API}/orders/1?a=b%20c`;
const answer = await fetch(url, { headers: { Authorization: authorization("GET", url) }, redirect: "error" });
console.log(answer.status, await answer.text());
process.exitCode = answer.ok ? 0 : 1;
