// A program on somebody's own device that uses an MCP server. It knows the server's address and nothing else: it finds the
// authorization server, registers itself there, sends its user there and calls a tool.
//
//     npm ci && RESOURCE=http://localhost:9000/mcp node client.mjs

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const RESOURCE = new URL(process.env.RESOURCE ?? "http://localhost:9000/mcp");

const state = randomUUID();
const kept = {};
let came;
const answer = new Promise((resolve) => (came = resolve));

// RFC 8252 §7.3: any port; it is registered without one.
const loopback = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://127.0.0.1");
  if (pathname !== "/callback" || searchParams.get("state") !== state) return response.writeHead(404).end();
  response.end("You can close this window.");
  came(searchParams);
});
await new Promise((ready) => loopback.listen(0, "127.0.0.1", ready));

const provider = {
  redirectUrl: `http://127.0.0.1:${loopback.address().port}/callback`,
  clientMetadata: {
    client_name: "Notes reader",
    redirect_uris: ["http://127.0.0.1/callback"],
    grant_types: ["authorization_code", "refresh_token"],
    token_endpoint_auth_method: "none",
  },
  state: () => state,
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
  redirectToAuthorization: (url) => console.log(`Open ${url.href}`),
};

async function connected() {
  const client = new Client({ name: "notes-reader", version: "1.0.0" });
  const transport = new StreamableHTTPClientTransport(RESOURCE, { authProvider: provider });
  try {
    await client.connect(transport);
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    const said = await answer;
    if (!said.has("code")) throw new Error(`refused: ${said.get("error")}`);
    await transport.finishAuth(said.get("code"));
    return connected();
  }
  return client;
}

const client = await connected();
const { content } = await client.callTool({ name: "whoami" });
console.log(`Called by ${content[0].text}`);
await client.close();
loopback.close();
loopback.closeAllConnections();
