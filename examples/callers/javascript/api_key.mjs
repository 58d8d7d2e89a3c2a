// An API key: of a person's page /account/api-keys, or of `signet api-key create`.

const { API, API_KEY } = process.env; // https://orders.example.com, sgk_…

// No redirect takes the key elsewhere.
const answer = await fetch(`${API}/orders/1`, { headers: { "X-API-Key": API_KEY }, redirect: "error" });
console.log(answer.status, await answer.text());
process.exitCode = answer.ok ? 0 : 1;
