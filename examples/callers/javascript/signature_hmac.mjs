// HTTP Message Signatures (RFC 9421) with hmac-sha256: both sides have the secret, and it is never sent.

import { createHash, createHmac, randomBytes } from "node:crypto";

const { API, KEY_ID } = process.env; // https://orders.example.com; the keyid in the client's `signature_keys`
const SECRET = Buffer.from(process.env.SECRET, "base64"); // As it stands there.
const signature = (base) => createHmac("sha256", SECRET).update(base).digest();

// Like fetch, and signed. A request that is sent again is signed again: a nonce is good once.
async function signedFetch(url, { method = "GET", headers = {}, body } = {}) {
  const all = new Headers(headers);
  const target = new URL(url);
  target.hash = "";
  const lines = [["@method", method], ["@target-uri", target.href]];
  // These say that there is no body, too, so that nobody puts one in.
  if (body !== undefined || ["POST", "PUT", "PATCH"].includes(method)) {
    const digest = createHash("sha256").update(body ?? "").digest("base64");
    all.set("Content-Digest", `sha-256=:${digest}:`);
    lines.push(["content-digest", all.get("Content-Digest")]);
  }
  const covered = lines.map(([name]) => `"${name}"`).join(" ");
  const [created, nonce] = [Math.floor(Date.now() / 1000), randomBytes(18).toString("base64url")];
  const input = `(${covered});created=${created};nonce="${nonce}";keyid="${KEY_ID}"`;
  const base = [...lines, ["@signature-params", input]].map(([name, value]) => `"${name}": ${value}`).join("\n");
  all.set("Signature-Input", `sig1=${input}`);
  all.set("Signature", `sig1=:${signature(base).toString("base64")}:`);
  // A signature is for one address: no redirect takes it elsewhere.
  return fetch(target, { method, headers: all, body, redirect: "error" });
}

const json = { "Content-Type": "application/json" };
for (const answer of [
  await signedFetch(`${API}/orders/1?a=b%20c`),
  await signedFetch(`${API}/orders`, { method: "POST", headers: json, body: JSON.stringify({ item: 7 }) }),
  await signedFetch(`${API}/orders/1/cancel`, { method: "POST" }),
]) {
  console.log(answer.status, await answer.text());
  if (!answer.ok) process.exitCode = 1;
}
