// openid-client v6 in a web app: `discovery` with the issuer, the client_id and the secret, and nothing else. Its default
// client authentication is client_secret_post. `allowInsecureRequests` is what it offers for an issuer on plain http.

import express from 'express';
import session from 'express-session';
import * as oidc from 'openid-client';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, ORIGIN, PORT } = process.env;
const insecure = { execute: [oidc.allowInsecureRequests] };
const config = await oidc.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET, undefined, insecure);

const app = express();
app.use(session({ secret: 'of the session cookie', resave: false, saveUninitialized: false }));

app.get('/', (req, res) => {
  if (req.session.claims) res.json(req.session.claims);
  else res.status(401).json({});
});

app.get('/login', async (req, res) => {
  const verifier = oidc.randomPKCECodeVerifier();
  const [state, nonce] = [oidc.randomState(), oidc.randomNonce()];
  req.session.asked = { verifier, state, nonce };
  const address = oidc.buildAuthorizationUrl(config, {
    redirect_uri: `${ORIGIN}/callback`,
    scope: 'openid profile email offline_access',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  });
  res.redirect(address.href);
});

app.get('/callback', async (req, res) => {
  const { verifier, state, nonce } = req.session.asked;
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce };
  const tokens = await oidc.authorizationCodeGrant(config, new URL(req.originalUrl, ORIGIN), checks);
  const { sub } = tokens.claims();
  req.session.claims = await oidc.fetchUserInfo(config, tokens.access_token, sub);
  req.session.tokens = { id: tokens.id_token, refresh: tokens.refresh_token };
  res.redirect('/');
});

// As the tabs of one session that all find the access token expired.
app.get('/refresh', async (req, res) => {
  const { refresh } = req.session.tokens;
  const all = await Promise.all(Array.from({ length: 8 }, () => oidc.refreshTokenGrant(config, refresh)));
  const users = all.map((tokens) => oidc.fetchUserInfo(config, tokens.access_token, req.session.claims.sub));
  req.session.tokens = { id: all[0].id_token, refresh: all[0].refresh_token };
  res.json((await Promise.all(users)).map(({ sub }, at) => ({ sub, refresh_token: all[at].refresh_token })));
});

app.get('/logout', (req, res) => {
  const hint = { id_token_hint: req.session.tokens.id, post_logout_redirect_uri: `${ORIGIN}/` };
  req.session.destroy(() => res.redirect(oidc.buildEndSessionUrl(config, hint).href));
});

app.listen(PORT, '127.0.0.1');
