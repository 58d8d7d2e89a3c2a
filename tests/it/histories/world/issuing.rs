//! What issues: sign-ins, codes, refreshes, exchanges and client authentication, each answer compared with the model.

use super::{
    ACCESS, APP_IDS, APPS, Answer, EXCHANGE, NAMES, NODES, OpenSignIn, SERVICE, World, agree, newest, remember,
};
use crate::histories::model::{Access, Code, Expect, Family, Token};
use crate::support::{CALLBACK, PASSWORD, SECRET, VERIFIER};

impl World {
    pub(super) async fn authorize(&mut self, node: usize, user: usize, app: usize, offline: bool) {
        let scope = if offline { "openid email offline_access" } else { "openid email" };
        let path = self.nodes[node].authorize(&[("client_id", APP_IDS[app]), ("scope", scope)]);
        let browser = self.browsers[user].at(&self.nodes[node]);
        let mut shown = browser.open(&path).await;
        let mut session = self.sessions[user];
        let mut signed_in = false;
        let mut shown_last = String::new();
        let code = loop {
            let page = match shown {
                Err(callback) => break callback.get("code").cloned(),
                Ok(page) => page,
            };
            assert!(page.status < 500, "{} {}", page.status, page.path);
            shown = match page.name().as_str() {
                "login" if !signed_in && self.model.user_enabled(user) => {
                    if let Some(session) = session {
                        agree(self.model.session(session), false, "a session");
                    }
                    signed_in = true;
                    session = Some(self.model.begin_session(user));
                    browser.submit(&page, &[("username", NAMES[user]), ("password", PASSWORD)]).await
                }
                "consent" => browser.submit(&page, &[("decision", "allow")]).await,
                _ => {
                    shown_last = format!("{} at {}: {} {}", page.status, page.path, page.name(), page.error());
                    break None;
                }
            };
        };
        let allowed = self.model.user_enabled(user) && self.model.app_enabled(app);
        // A node that has not heard of a client's being enabled refuses its requests for a moment.
        let expected = match allowed {
            false => Expect::Refused,
            true if self.behind[node] => Expect::Either,
            true => Expect::Accepted,
        };
        agree(expected, code.is_some(), &format!("an authorization ({shown_last})"));
        self.sessions[user] = session;
        let (Some(secret), Some(session)) = (code, session) else { return };
        if !signed_in {
            agree(self.model.session(session), true, "an authorization without a sign-in");
        }
        self.model.use_session(session);
        let access = self.model.authorize(user, app, session, offline);
        remember(&mut self.codes, Code { secret, access, made_at: self.model.now, spent: false });
    }

    pub(super) async fn open_sign_in(&mut self, node: usize, app: usize) {
        if !self.model.app_enabled(app) {
            return;
        }
        self.catch_up(node).await;
        let browser = self.nodes[node].browser();
        let path = self.nodes[node].authorize(&[("client_id", APP_IDS[app]), ("scope", "openid email")]);
        let page = browser.page(&path).await;
        assert_eq!(page.name(), "login", "{}", page.path);
        let (app_version, opened_at) = (self.model.app_version(app), self.model.now);
        remember(&mut self.open, OpenSignIn { browser, page, node, app, app_version, opened_at });
    }

    /// An interaction goes on only with the client that began it, as it was then.
    pub(super) async fn finish_sign_in(&mut self, index: usize, user: usize) {
        let Some(at) = newest(&self.open, index) else { return };
        let OpenSignIn { browser, page, node, app, app_version, opened_at } = self.open.remove(at);
        if !self.model.user_enabled(user) {
            return;
        }
        self.catch_up(node).await;
        let browser = browser.at(&self.nodes[node]);
        let mut shown = browser.submit(&page, &[("username", NAMES[user]), ("password", PASSWORD)]).await;
        let code = loop {
            match shown {
                Err(callback) => break callback.get("code").cloned(),
                Ok(page) if page.name() == "consent" => shown = browser.submit(&page, &[("decision", "allow")]).await,
                Ok(_) => break None,
            }
        };
        let same = self.model.app_enabled(app) && self.model.app_version(app) == app_version;
        let expected = match same {
            false => Expect::Refused,
            true if self.model.now - opened_at < 1_200 => Expect::Accepted,
            true => Expect::Either,
        };
        agree(expected, code.is_some(), "a sign-in page that was left open");
    }

    pub(super) fn client_of(token: &Token) -> usize {
        if token.by_exchange { APPS } else { token.access.app }
    }

    /// The credentials of an app, or of the service after the last one.
    pub(super) fn credentials(&self, client: usize) -> (&str, &str) {
        match APP_IDS.get(client) {
            Some(id) => (id, self.secrets[client].last().unwrap()),
            None => (SERVICE, SECRET),
        }
    }

    pub(super) async fn token(&self, node: usize, client: usize, form: &[(&str, &str)]) -> Answer {
        self.post(node, "/oauth2/token", self.credentials(client), form).await
    }

    pub(super) async fn post(
        &self,
        node: usize,
        path: &str,
        (id, secret): (&str, &str),
        form: &[(&str, &str)],
    ) -> Answer {
        let browser = &self.browsers[0].at(&self.nodes[node]);
        let request = browser.request(reqwest::Method::POST, path).basic_auth(id, Some(secret)).form(form);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        assert!(status < 500, "{status} {text}");
        Answer { status, body: serde_json::from_str(&text).unwrap_or_default() }
    }

    pub(super) fn remember_token(&mut self, access: Access, answer: &Answer) {
        let (secret, expires_at) = (answer.text("access_token"), self.model.access_token_end());
        let token = Token { secret, access, expires_at, revoked: false, source_revoked: false, by_exchange: false };
        remember(&mut self.tokens, token);
    }

    pub(super) fn remember_redeemed(&mut self, access: Access, answer: &Answer) {
        self.remember_token(access, answer);
        let family = Family { access, newest: answer.text("refresh_token"), before: None, rotated_at: self.model.now };
        remember(&mut self.families, family);
    }

    pub(super) async fn redeem_code(&self, node: usize, app: usize, code: &str) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.token(node, app, &form).await
    }

    pub(super) async fn redeem(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.codes, index).filter(|at| !self.codes[*at].spent) else { return };
        let access = self.codes[at].access;
        let answer = self.redeem_code(node, access.app, &self.codes[at].secret).await;
        agree(self.model.code(&self.codes[at]), answer.status == 200, "a code");
        if answer.status == 200 {
            self.codes[at].spent = true;
            self.remember_redeemed(access, &answer);
        } else if answer.status == 400 {
            self.codes[at].spent = true;
        }
    }

    /// RFC 6749 §4.1.2: what was issued for a code ends when it comes again.
    pub(super) async fn replay_code(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.codes, index).filter(|at| self.codes[*at].spent) else { return };
        let access = self.codes[at].access;
        if !self.model.app_enabled(access.app) || self.model.now - self.codes[at].made_at > 10 {
            return;
        }
        let answer = self.redeem_code(node, access.app, &self.codes[at].secret).await;
        agree(Expect::Refused, answer.status == 200, "a code that comes again");
        self.model.revoke_grant(&access);
        self.behind = [true; NODES];
    }

    pub(super) async fn refresh_with(&self, node: usize, app: usize, token: &str) -> Answer {
        self.token(node, app, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    pub(super) async fn refresh(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.families, index) else { return };
        let access = self.families[at].access;
        let answer = self.refresh_with(node, access.app, &self.families[at].newest).await;
        agree(self.model.access(&access), answer.status == 200, "a refresh token");
        self.after_refresh(at, &answer);
    }

    pub(super) fn after_refresh(&mut self, at: usize, answer: &Answer) {
        if answer.status == 200 {
            let next = answer.text("refresh_token");
            let family = &mut self.families[at];
            family.before = Some(std::mem::replace(&mut family.newest, next));
            family.rotated_at = self.model.now;
            self.remember_token(self.families[at].access, answer);
        }
    }

    /// RFC 9700 §4.14.2: within the grace period the same successor, after it the end of the family.
    pub(super) async fn repeat_refresh(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.families, index) else { return };
        let family = &self.families[at];
        let Some(before) = family.before.clone() else { return };
        let access = family.access;
        if !self.model.app_enabled(access.app) {
            return;
        }
        let answer = self.refresh_with(node, access.app, &before).await;
        agree(self.model.repeat(&self.families[at]), answer.status == 200, "a repeated refresh token");
        if answer.status == 200 {
            assert_eq!(answer.text("refresh_token"), self.families[at].newest, "the same successor");
            self.remember_token(access, &answer);
        } else {
            self.model.revoke_grant(&access);
            self.behind = [true; NODES];
        }
    }

    pub(super) async fn exchange(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.tokens, index).filter(|at| !self.tokens[*at].by_exchange) else { return };
        self.catch_up(node).await;
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", self.tokens[at].secret.as_str()),
            ("subject_token_type", ACCESS),
        ];
        let answer = self.token(node, APPS, &form).await;
        let source = &self.tokens[at];
        let access = source.access.exchanged();
        let expected = match (self.model.token(source), self.model.access(&access)) {
            (Expect::Accepted, Expect::Accepted) => Expect::Accepted,
            (Expect::Refused, _) | (_, Expect::Refused) => Expect::Refused,
            _ => Expect::Either,
        };
        agree(expected, answer.status == 200, "a token exchange");
        if answer.status == 200 {
            let (secret, expires_at) = (answer.text("access_token"), source.expires_at);
            let token =
                Token { secret, access, expires_at, revoked: false, source_revoked: source.revoked, by_exchange: true };
            remember(&mut self.tokens, token);
        }
    }

    pub(super) async fn client_credentials(&self, node: usize, app: usize, old_secret: bool) {
        let (id, current) = self.credentials(app);
        let secret = if old_secret { self.secrets[app].iter().rev().nth(1) } else { None };
        if old_secret && secret.is_none() {
            return;
        }
        let secret = secret.map_or(current, String::as_str);
        let form = [("grant_type", "client_credentials"), ("scope", "")];
        let answer = self.post(node, "/oauth2/token", (id, secret), &form).await;
        let right = self.model.app_enabled(app) && secret == current;
        // An app has no scope of its own here, so a request with the right secret is refused for its scope alone.
        assert_eq!(answer.body["error"] != "invalid_client", right, "client authentication: {}", answer.body);
    }
}
