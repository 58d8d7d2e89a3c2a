// Auth.js (@auth/express): a provider of the type `oidc` with issuer, client_id and secret. It authenticates by
// client_secret_basic, and does PKCE. `trustHost` is for an app that is not on a platform it knows. A refresh is the request
// that its guide on refresh token rotation makes, with the tokens that its `jwt` callback keeps. Its sign-out ends the app's own
// session: this app goes to the provider first and comes back to it.

import { ExpressAuth, getSession } from '@auth/express';
import { getToken } from '@auth/core/jwt';
import express from 'express';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, ORIGIN, PORT } = process.env;
const provider = await (await fetch(`${ISSUER}/.well-known/openid-configuration`)).json();
const secret = 'of the session cookie, and as long';
const config = {
  providers: [
    {
      id: 'signet',
      name: 'Signet',
      type: 'oidc',
      issuer: ISSUER,
      clientId: CLIENT_ID,
      clientSecret: CLIENT_SECRET,
      authorization: { params: { scope: 'openid profile email offline_access' } },
    },
  ],
  secret,
  trustHost: true,
  callbacks: {
    jwt: ({ token, account }) =>
      account ? { ...token, sub: account.providerAccountId, id: account.id_token, refresh: account.refresh_token } : token,
    session: ({ session, token }) => ({ ...session, user: { ...session.user, sub: token.sub } }),
  },
};

const app = express();
app.use('/auth', ExpressAuth(config));
const tokens = (req) => getToken({ req: { headers: new Headers(req.headers) }, secret });

app.get('/', async (req, res) => {
  const session = await getSession(req, { ...config, basePath: '/auth' });
  if (session) res.json(session.user);
  else res.status(401).json({});
});
app.get('/login', (req, res) => res.redirect('/auth/signin?callbackUrl=/'));

app.get('/refresh', async (req, res) => {
  const { refresh } = await tokens(req);
  const response = await fetch(provider.token_endpoint, {
    method: 'POST',
    body: new URLSearchParams({
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      grant_type: 'refresh_token',
      refresh_token: refresh,
    }),
  });
  const { access_token, refresh_token, error } = await response.json();
  if (error) return res.status(500).json({ error });
  const authorization = `Bearer ${access_token}`;
  const { sub } = await (await fetch(provider.userinfo_endpoint, { headers: { authorization } })).json();
  res.json([{ sub, refresh_token }]);
});

app.get('/logout', async (req, res) => {
  const hint = { id_token_hint: (await tokens(req)).id, post_logout_redirect_uri: `${ORIGIN}/auth/signout` };
  res.redirect(`${provider.end_session_endpoint}?${new URLSearchParams(hint)}`);
});

app.listen(PORT, '127.0.0.1');
