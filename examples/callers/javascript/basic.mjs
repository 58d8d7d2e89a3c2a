// HTTP Basic (RFC 7617): a client's id and secret, or a username and an API key.

const { API, API_USER, API_PASSWORD } = process.env;

const basic = Buffer.from(`${API_USER}:${API_PASSWORD}`).toString("base64");
const answer = await fetch(`${API}/orders/1`, { headers: { Authorization: `Basic ${basic}` }, redirect: "error" });
console.log(answer.status, await answer.text());
process.exitCode = answer.ok ? 0 : 1;
