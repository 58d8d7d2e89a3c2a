// A TLS certificate (RFC 8705): the connection says who calls, and no request carries a secret.

import { readFileSync } from "node:fs";
import { request } from "node:https";

const { API, CERT_FILE, KEY_FILE, CA_FILE } = process.env; // CA_FILE where the API's authority is not a public one

const tls = {
  cert: readFileSync(CERT_FILE),
  key: readFileSync(KEY_FILE),
  ca: CA_FILE && readFileSync(CA_FILE),
  timeout: 10_000,
};
const answer = await new Promise((resolve, reject) => {
  const asked = request(`${API}/orders/1`, tls, resolve).on("error", reject);
  asked.on("timeout", () => asked.destroy(new Error("no answer"))).end();
});
const body = (await answer.toArray()).join("");
console.log(answer.statusCode, body);
process.exitCode = answer.statusCode < 300 ? 0 : 1;
