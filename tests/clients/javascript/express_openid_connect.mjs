// express-openid-connect: the four members that its README begins with, and `idpLogout`, without which its /logout ends only
// the app's own session. Its default is an ID token from the authorization endpoint by form_post, and no client secret. With
// CLIENT_SECRET it is set up as its examples say for access and refresh tokens: response_type `code`, and scopes.

import express from 'express';
import oidc from 'express-openid-connect';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, ORIGIN, PORT } = process.env;
const defaults = {
  issuerBaseURL: ISSUER,
  baseURL: ORIGIN,
  clientID: CLIENT_ID,
  secret: 'of the session cookie, and as long',
};
const code = {
  clientSecret: CLIENT_SECRET,
  authorizationParams: { response_type: 'code', scope: 'openid profile email offline_access' },
};

const app = express();
app.use(oidc.auth({ ...defaults, ...(CLIENT_SECRET ? code : {}), authRequired: false, idpLogout: true }));

app.get('/', (req, res) => {
  if (req.oidc.isAuthenticated()) res.json(req.oidc.user);
  else res.status(401).json({});
});

app.get('/refresh', async (req, res) => {
  await req.oidc.accessToken.refresh();
  const { sub } = await req.oidc.fetchUserInfo();
  res.json([{ sub, refresh_token: req.oidc.refreshToken }]);
});

app.listen(PORT, '127.0.0.1');
