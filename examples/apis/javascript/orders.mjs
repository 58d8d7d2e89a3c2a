// An API with node's own http that lets in who has an access token of Signet (RFC 9068), verified with jose.
//
//     npm ci && ISSUER=http://localhost:8080 AUDIENCE=https://orders.example.com PORT=9000 node orders.mjs
//
// Reading takes the scope `read`, writing the scope `write`; nothing is asked of who looks at /healthz.

import { webcrypto } from "node:crypto";
import { createServer } from "node:http";
import { performance } from "node:perf_hooks";
import { createLocalJWKSet, errors, jwtVerify } from "jose";

globalThis.crypto ??= webcrypto; // Node 18 has it by this name alone.

const ISSUER = process.env.ISSUER ?? "http://localhost:8080";
const AUDIENCE = process.env.AUDIENCE ?? "https://orders.example.com";
const PORT = Number(process.env.PORT ?? 9000);
// A token that names an unknown key makes us ask at once, but not more often than this: anybody can send such tokens.
const COOLDOWN = Number(process.env.COOLDOWN ?? 5) * 1000;
const PAUSE = 6 * COOLDOWN; // After a failure, while there are keys that may be used.
const LIFETIME = 300_000; // After this the keys are fetched again, while requests go on.
// After this they are not used any more: one that was taken out must not count for ever while we cannot ask.
const MAX_AGE = Number(process.env.MAX_AGE ?? 86_400) * 1000;
const TIMEOUT = 5000; // For the metadata and the keys together, however slowly they come.
const MAX_BYTES = 256 * 1024;

class Refused extends Error {
  constructor(status, error, scope) {
    super(error);
    Object.assign(this, { status, error, scope });
  }
}

// The issuer's keys. While it does not answer, those that are known go on being good for a day.
let known; // { find, kids, got }
let asking; // One request; its failure answers all that wait for it.
let ended = -Infinity;
let pause = COOLDOWN; // From then until it is asked again.

async function fetchJson(url, signal) {
  const answer = await fetch(url, { signal, redirect: "error" });
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  const pieces = [];
  let bytes = 0;
  for await (const piece of answer.body) {
    if ((bytes += piece.length) > MAX_BYTES) throw new Error(`${url} answers too much`);
    pieces.push(piece);
  }
  return JSON.parse(Buffer.concat(pieces));
}

async function fetchKeys() {
  const signal = AbortSignal.timeout(TIMEOUT);
  const metadata = await fetchJson(`${ISSUER}/.well-known/openid-configuration`, signal);
  if (metadata.issuer !== ISSUER) throw new Error("the metadata are of another issuer");
  const jwks = await fetchJson(metadata.jwks_uri, signal);
  return { find: createLocalJWKSet(jwks), kids: new Set(jwks.keys.map((key) => key.kid)), got: performance.now() };
}

function ask() {
  asking ??= fetchKeys()
    .then((found) => ([known, pause] = [found, COOLDOWN]))
    .catch((error) => {
      pause = PAUSE;
      console.error(`the keys of ${ISSUER} cannot be had: ${error.message}`);
    })
    .finally(() => ([asking, ended] = [undefined, performance.now()]));
  return asking;
}

// The key that a token names. Whose key is known does not wait.
async function key(header, token) {
  const usable = () => known && performance.now() - known.got < MAX_AGE;
  const age = known ? performance.now() - known.got : Infinity;
  const hasIt = usable() && known.kids.has(header.kid);
  const wait = usable() ? pause : Math.min(COOLDOWN, 5000);
  const mayAsk = asking || performance.now() - ended >= wait;
  if (!hasIt && mayAsk) await ask();
  else if (age >= LIFETIME && mayAsk) ask();
  if (!usable()) throw new Refused(503, "temporarily_unavailable");
  return known.find(header, token);
}

async function authorize(request, scope) {
  const [scheme, token, ...rest] = (request.headers.authorization ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer") throw new Refused(401);
  let claims;
  try {
    if (!token || rest.length > 0) throw new errors.JWTInvalid("no token");
    const asked = { issuer: ISSUER, audience: AUDIENCE, typ: "at+jwt", algorithms: ["ES256"] };
    const required = ["exp", "iat", "sub", "client_id", "jti"];
    claims = (await jwtVerify(token, key, { ...asked, requiredClaims: required })).payload;
    // Bound to a certificate (RFC 8705): nothing without it, and nobody shows one here.
    if (claims.cnf) throw new errors.JWTInvalid("a bound token");
  } catch (error) {
    if (error instanceof errors.JOSEError) throw new Refused(401, "invalid_token");
    throw error;
  }
  const scopes = typeof claims.scope === "string" ? claims.scope.split(" ") : [];
  if (!scopes.includes(scope)) throw new Refused(403, "insufficient_scope", scope);
  return claims;
}

async function route(request) {
  switch (`${request.method} ${request.url.split("?")[0]}`) {
    case "GET /orders": {
      const claims = await authorize(request, "read");
      return [200, { subject: claims.sub, client: claims.client_id }];
    }
    case "POST /orders": {
      const claims = await authorize(request, "write");
      const pieces = [];
      for await (const piece of request) pieces.push(piece);
      return [201, { subject: claims.sub, ordered: JSON.parse(Buffer.concat(pieces)) }];
    }
    case "GET /healthz":
      return [200, { ok: true }];
    default:
      return [404, { error: "not_found" }];
  }
}

// Challenges as RFC 6750 §3 has them: no `error` for who sent nothing, the scope for who may ask for more.
function refusal(error) {
  if (!(error instanceof Refused)) {
    console.error(error);
    return [500, { error: "server_error" }, {}];
  }
  let challenge = `Bearer realm="${AUDIENCE}"`;
  if (error.error) challenge += `, error="${error.error}"`;
  if (error.scope) challenge += `, scope="${error.scope}"`;
  const headers = error.status === 503 ? { "Retry-After": "5" } : { "WWW-Authenticate": challenge };
  return [error.status, { error: error.error ?? "unauthorized" }, headers];
}

createServer(async (request, response) => {
  const [status, body, headers = {}] = await route(request).catch(refusal);
  response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body));
}).listen(PORT, "127.0.0.1", () => console.log(`The API is at http://127.0.0.1:${PORT}`));
