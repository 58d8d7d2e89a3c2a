// passport-openidconnect: the strategy with the addresses of the provider, the client_id, the secret and scopes. It sends the
// secret in the form, has no PKCE and no nonce. It has no discovery; this app reads the addresses from the document. Of
// refreshing it has only the OAuth 2.0 client inside it, which is where passport-oauth2-refresh goes too; of logout nothing.

import express from 'express';
import session from 'express-session';
import passport from 'passport';
import Strategy from 'passport-openidconnect';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, ORIGIN, PORT } = process.env;
const provider = await (await fetch(`${ISSUER}/.well-known/openid-configuration`)).json();

const options = {
  issuer: ISSUER,
  authorizationURL: provider.authorization_endpoint,
  tokenURL: provider.token_endpoint,
  userInfoURL: provider.userinfo_endpoint,
  clientID: CLIENT_ID,
  clientSecret: CLIENT_SECRET,
  callbackURL: `${ORIGIN}/callback`,
  scope: ['profile', 'email', 'offline_access'],
};

// Nine parameters: only then it asks the UserInfo endpoint, and hands on the tokens.
const strategy = new Strategy(options, (issuer, ui, id, context, idToken, accessToken, refreshToken, params, done) => {
  const claims = { sub: id.id, name: ui.displayName, email: ui.emails[0].value };
  done(null, { claims, tokens: { id: idToken, refresh: refreshToken } });
});
passport.use(strategy);
passport.serializeUser((user, done) => done(null, user));
passport.deserializeUser((user, done) => done(null, user));

const app = express();
app.use(session({ secret: 'of the session cookie', resave: false, saveUninitialized: false }));
app.use(passport.session());

app.get('/', (req, res) => {
  if (req.user) res.json(req.user.claims);
  else res.status(401).json({});
});
app.get('/login', passport.authenticate('openidconnect'));
app.get('/callback', passport.authenticate('openidconnect', { successRedirect: '/' }));

const form = { grant_type: 'refresh_token' };
const refreshed = (token) =>
  new Promise((done, fail) => {
    const failed = ({ data }) => fail(new Error(data));
    strategy._oauth2.getOAuthAccessToken(token, form, (error, access, refresh_token) => {
      if (error) return failed(error);
      strategy._oauth2.get(provider.userinfo_endpoint, access, (error, body) =>
        error ? failed(error) : done({ sub: JSON.parse(body).sub, refresh_token }),
      );
    });
  });

// As the tabs of one session that all find the access token expired.
app.get('/refresh', async (req, res) => {
  const { tokens } = req.session.passport.user;
  const all = await Promise.all(Array.from({ length: 8 }, () => refreshed(tokens.refresh)));
  tokens.refresh = all[0].refresh_token;
  res.json(all);
});

app.get('/logout', (req, res, next) => {
  const hint = new URLSearchParams({ id_token_hint: req.user.tokens.id, post_logout_redirect_uri: `${ORIGIN}/` });
  req.logout((failed) => (failed ? next(failed) : res.redirect(`${provider.end_session_endpoint}?${hint}`)));
});

app.listen(PORT, '127.0.0.1');
