// An MCP server (Streamable HTTP) that lets in who has an access token of Signet for it (RFC 9068), with the TypeScript
// SDK and jose.
//
//     npm ci && ISSUER=http://localhost:8080 RESOURCE=http://localhost:9000/mcp node server.mjs
//
// RESOURCE is the address that clients connect to, and the identifier by which Signet knows the API.

import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { InvalidTokenError } from "@modelcontextprotocol/sdk/server/auth/errors.js";
import { requireBearerAuth } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import { getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter } from "@modelcontextprotocol/sdk/server/auth/router.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import express from "express";
import { createRemoteJWKSet, jwtVerify } from "jose";

const ISSUER = process.env.ISSUER ?? "http://localhost:8080";
const RESOURCE = new URL(process.env.RESOURCE ?? "http://localhost:9000/mcp");

const metadata = await (await fetch(`${ISSUER}/.well-known/oauth-authorization-server`)).json();
if (metadata.issuer !== ISSUER) throw new Error("the metadata are of another issuer");
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));

// `aud` is the identifier as it is registered: a token for another API opens nothing here.
const verifier = {
  async verifyAccessToken(token) {
    try {
      const { payload } = await jwtVerify(token, keys, { issuer: ISSUER, audience: RESOURCE.href, typ: "at+jwt" });
      const scopes = (payload.scope ?? "").split(" ").filter(Boolean);
      return { token, clientId: payload.client_id, scopes, expiresAt: payload.exp, resource: RESOURCE, extra: { sub: payload.sub } };
    } catch (error) {
      throw new InvalidTokenError(error.code ?? "it cannot be verified");
    }
  },
};

function server() {
  const notes = new McpServer({ name: "notes", version: "1.0.0" });
  notes.registerTool("whoami", { description: "Who calls" }, ({ authInfo }) => ({
    content: [{ type: "text", text: `${authInfo.extra.sub} by ${authInfo.clientId}` }],
  }));
  return notes;
}

const app = express();
app.use(express.json());
// RFC 9728: where a client that knows this address alone finds its authorization server.
app.use(mcpAuthMetadataRouter({ oauthMetadata: metadata, resourceServerUrl: RESOURCE, resourceName: "Notes" }));
const resourceMetadataUrl = getOAuthProtectedResourceMetadataUrl(RESOURCE);
app.post(RESOURCE.pathname, requireBearerAuth({ verifier, resourceMetadataUrl }), async (request, response) => {
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  const notes = server();
  response.on("close", () => notes.close());
  await notes.connect(transport);
  await transport.handleRequest(request, response, request.body);
});
app.all(RESOURCE.pathname, (_, response) => response.status(405).set("allow", "POST").end());
app.listen(Number(RESOURCE.port), RESOURCE.hostname, () => console.log(`Notes are at ${RESOURCE}`));
