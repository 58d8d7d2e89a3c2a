// An access token of one's own (client_credentials), kept until it ends, sent as a bearer token (RFC 6750).

const { ISSUER, API, CLIENT_ID, CLIENT_SECRET, SCOPE = "read", RESOURCE = API } = process.env;

async function json(answer) {
  if (!answer.ok) throw new Error(`${answer.url} answers ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

const token = { value: undefined, ends: 0 };
async function accessToken() {
  if (Date.now() >= token.ends) {
    const metadata = await json(await fetch(`${ISSUER}/.well-known/openid-configuration`));
    // RFC 6749 §2.3.1: both are form-encoded before they are joined.
    const basic = [CLIENT_ID, CLIENT_SECRET].map(encodeURIComponent).join(":");
    const answer = await fetch(metadata.token_endpoint, {
      method: "POST",
      headers: { Authorization: `Basic ${Buffer.from(basic).toString("base64")}` },
      // `resource` is the API's identifier at Signet: the token is for this API and no other.
      body: new URLSearchParams({ grant_type: "client_credentials", scope: SCOPE, resource: RESOURCE }),
    });
    const tokens = await json(answer);
    Object.assign(token, { value: tokens.access_token, ends: Date.now() + (tokens.expires_in - 30) * 1000 });
  }
  return token.value;
}

const headers = { Authorization: `Bearer ${await accessToken()}` };
const answer = await fetch(`${API}/orders/1`, { headers, redirect: "error" });
console.log(answer.status, await answer.text());
process.exitCode = answer.ok ? 0 : 1;
