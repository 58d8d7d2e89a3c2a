// oidc-client-ts in a page: a UserManager with authority, client_id, redirect_uri, the address after logout, and scopes. The client
// is public, and PKCE is the library's default. It keeps the user in the tab's sessionStorage, and so does each copy of the
// tab; eight UserManagers refresh at once here, as copies do. The server below only serves the page.

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import express from 'express';

const { ISSUER, CLIENT_ID, ORIGIN, PORT } = process.env;
const settings = {
  authority: ISSUER,
  client_id: CLIENT_ID,
  redirect_uri: `${ORIGIN}/callback`,
  post_logout_redirect_uri: `${ORIGIN}/`,
  scope: 'openid profile email offline_access',
};

const page = `<!doctype html>
<title>App</title>
<button id="login">Sign in</button> <button id="refresh">Refresh</button> <button id="logout">Sign out</button>
<pre id="error"></pre>
<script src="/oidc-client-ts.js"></script>
<script type="module">
  const settings = ${JSON.stringify(settings)};
  const manager = new oidc.UserManager(settings);
  const show = (id, value) => {
    const shown = document.createElement('pre');
    shown.id = id;
    shown.textContent = JSON.stringify(value);
    document.body.append(shown);
  };
  addEventListener('unhandledrejection', ({ reason }) => (document.querySelector('#error').textContent = reason));
  const on = (id, act) => document.querySelector(id).addEventListener('click', act);

  on('#login', () => manager.signinRedirect());
  on('#logout', () => manager.signoutRedirect());
  on('#refresh', async () => {
    const one = async () => {
      const { access_token, refresh_token } = await new oidc.UserManager(settings).signinSilent();
      const endpoint = await manager.metadataService.getUserInfoEndpoint();
      const answer = await fetch(endpoint, { headers: { authorization: 'Bearer ' + access_token } });
      return { sub: (await answer.json()).sub, refresh_token };
    };
    show('refreshed', await Promise.all(Array.from({ length: 8 }, one)));
  });

  if (location.pathname === '/callback') {
    await manager.signinRedirectCallback();
    location.replace('/');
  } else {
    show('claims', (await manager.getUser())?.profile ?? null);
  }
</script>`;

const library = dirname(createRequire(import.meta.url).resolve('oidc-client-ts/package.json'));
const app = express();
app.get('/oidc-client-ts.js', (req, res) => res.sendFile(join(library, 'dist/browser/oidc-client-ts.min.js')));
app.get(['/', '/callback'], (req, res) => res.type('html').send(page));
app.listen(PORT, '127.0.0.1');
