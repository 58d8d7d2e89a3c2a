//! What issues for users: sign-ins, codes, refreshes and exchanges, each answer compared with the model.

use super::registered::APP_IDS;
use super::requests::EXCHANGE;
use super::{
    APPS, Access, Answer, Browser, Code, Expect, Family, NAMES, NODES, OpenSignIn, Page, Request, Token, World, agree,
    newest, remember,
};
use crate::histories::action::{Part, ResponseType};
use crate::support::{CALLBACK, Callback, PASSWORD, VERIFIER};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Where a browser came to after its user has signed in, where asked to, and allowed what an app asks for.
pub(super) struct Arrival {
    pub(super) at: Result<Page, Callback>,
    signed_in: bool,
}

impl Arrival {
    /// A parameter of the answer that reached an app.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        self.at.as_ref().err()?.get(name).cloned()
    }

    /// The page, for the message of a disagreement.
    pub(super) fn shown(&self) -> String {
        self.at.as_ref().map_or_else(
            |answer| format!("an answer with {:?}", answer.get("error")),
            |page| format!("{} at {}: {} {}", page.status, page.path, page.name(), page.error()),
        )
    }
}

impl World {
    pub(super) async fn arrive(
        &mut self,
        browser: &Browser,
        user: usize,
        mut shown: Result<Page, Callback>,
    ) -> Arrival {
        let mut signed_in = false;
        loop {
            let page = match shown {
                Ok(page) => page,
                answer @ Err(_) => return Arrival { at: answer, signed_in },
            };
            assert!(page.status < 500, "{} {}", page.status, page.path);
            shown = match page.name().as_str() {
                "login" if !signed_in && self.model.user_enabled(user) => {
                    if let Some(session) = self.sessions[user] {
                        agree(self.model.session(session), false, "a session");
                    }
                    signed_in = true;
                    self.sessions[user] = Some(self.model.begin_session(user));
                    browser.submit(&page, &[("username", NAMES[user]), ("password", PASSWORD)]).await
                }
                "consent" => browser.submit(&page, &[("decision", "allow")]).await,
                _ => return Arrival { at: Ok(page), signed_in },
            };
        }
    }

    /// The session in which something was issued.
    pub(super) fn use_session(&mut self, user: usize, arrival: &Arrival, what: &str) -> usize {
        let session = self.sessions[user].expect("a session");
        if !arrival.signed_in {
            agree(self.model.session(session), true, &format!("{what} without a sign-in"));
        }
        self.model.use_session(session);
        session
    }

    pub(super) async fn authorize(&mut self, node: usize, user: usize, request: Request, response: ResponseType) {
        let response_type = match response {
            ResponseType::Code => "code",
            ResponseType::IdTokenToken => "id_token token",
            ResponseType::CodeToken => "code token",
        };
        let mut parameters = vec![("client_id", APP_IDS[request.app]), ("response_type", response_type)];
        parameters.extend(Self::asks_for(request));
        let path = self.nodes[node].authorize(&parameters);
        // OpenID Connect Core §11: offline access is for what comes of a code.
        let request = Request { offline: request.offline && response != ResponseType::IdTokenToken, ..request };
        let browser = self.browsers[user].at(&self.nodes[node]);
        let shown = browser.open(&path).await;
        let arrival = self.arrive(&browser, user, shown).await;
        let (code, token) = (arrival.parameter("code"), arrival.parameter("access_token"));
        let may_be_answered = self.model.user_enabled(user)
            && self.model.app_enabled(request.app)
            && self.model.settings().has(request.app, Part::RedirectUri);
        // A node that has not heard of a change may accept the request. What comes of it is narrowed.
        let may_ask =
            if self.behind[node] { self.model.expect_left(request) } else { self.model.expect_request(request) };
        let expected = if may_be_answered { may_ask } else { Expect::Refused };
        let what = format!("an authorization ({})", arrival.shown());
        agree(self.unless_behind(node, expected), code.is_some() || token.is_some(), &what);
        if code.is_none() && token.is_none() {
            return;
        }
        let issued = (code.is_some(), token.is_some());
        assert_eq!(issued, (response != ResponseType::IdTokenToken, response != ResponseType::Code), "{what}");
        let session = self.use_session(user, &arrival, "an authorization");
        let Some(left) = self.model.left_of(request) else { return };
        let access = self.model.authorize(user, session, left);
        if let Some(secret) = code {
            remember(&mut self.codes, Code { secret, access, made_at: self.model.now, spent: false });
        }
        if let Some(secret) = token {
            self.remember_token(access.until_sign_out(), secret);
        }
    }

    pub(super) async fn open_sign_in(&mut self, node: usize, request: Request) {
        if self.model.expect_request(request) != Expect::Accepted
            || !self.model.settings().has(request.app, Part::RedirectUri)
        {
            return;
        }
        self.catch_up(node).await;
        let browser = self.nodes[node].browser();
        let mut parameters = vec![("client_id", APP_IDS[request.app])];
        parameters.extend(Self::asks_for(request));
        let page = browser.page(&self.nodes[node].authorize(&parameters)).await;
        assert_eq!(page.name(), "login", "{}", page.path);
        let waiting = self.model.wait_for_user(request);
        remember(&mut self.open, OpenSignIn { browser, page, node, waiting });
    }

    /// An interaction goes on only with the client that began it, as it was then.
    pub(super) async fn finish_sign_in(&mut self, index: usize, user: usize) {
        let Some(at) = newest(&self.open, index) else { return };
        let OpenSignIn { browser, page, node, waiting } = self.open.remove(at);
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
        agree(self.model.expect_open_page(&waiting), code.is_some(), "a sign-in page that was left open");
        if let (Some(secret), Some(left)) = (code, self.model.left_of(waiting.request)) {
            let session = self.model.begin_session(user);
            let access = self.model.authorize(user, session, left);
            remember(&mut self.codes, Code { secret, access, made_at: self.model.now, spent: false });
        }
    }

    pub(super) fn remember_token(&mut self, access: Access, secret: String) {
        let expires_at = self.model.access_token_end();
        let token = Token { secret, access, expires_at, revoked: false, source_revoked: false, service_version: None };
        remember(&mut self.tokens, token);
    }

    /// What comes of a grant while its app may not ask for offline access has none, and does not get it back.
    pub(super) fn compare_offline(&self, access: Option<&Access>, answer: &Answer) {
        if let Some(access) = access.filter(|_| answer.status == 200) {
            agree(self.model.expect_offline(access), answer.is_offline(), "offline access");
        }
    }

    pub(super) fn remember_redeemed(&mut self, access: Access, answer: &Answer) {
        let access = access.as_issued(answer.is_offline());
        self.remember_token(access, answer.text("access_token"));
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
        let expected = self.unless_api_unknown(node, &access, self.model.expect_code(&self.codes[at]));
        agree(expected, answer.status == 200, "a code");
        self.compare_offline(Some(&access), &answer);
        self.after_code(at, &answer);
    }

    pub(super) fn after_code(&mut self, at: usize, answer: &Answer) {
        // A client that was refused itself has used up nothing.
        self.codes[at].spent |= answer.status != 401;
        let access = self.codes[at].access;
        if answer.status == 200 {
            self.remember_redeemed(access, answer);
        } else if !self.model.settings().has(access.app, Part::RedirectUri) {
            // It may have been taken for a stolen one, with which the token beside it ends.
            self.tokens.retain(|token| !token.access.is_of(&access));
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
        self.revoke_grant(&access);
    }

    pub(super) fn revoke_grant(&mut self, access: &Access) {
        self.model.revoke_grant(access);
        self.behind = [true; NODES];
    }

    pub(super) async fn refresh_with(&self, node: usize, app: usize, token: &str) -> Answer {
        self.token(node, app, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    pub(super) async fn refresh(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.families, index) else { return };
        let access = self.families[at].access;
        let answer = self.refresh_with(node, access.app, &self.families[at].newest).await;
        let expected = self.unless_api_unknown(node, &access, self.model.expect_access(&access));
        agree(expected, answer.status == 200, "a refresh token");
        self.compare_offline(Some(&access), &answer);
        self.after_refresh(at, &answer);
    }

    pub(super) fn after_refresh(&mut self, at: usize, answer: &Answer) {
        if answer.status == 200 {
            let next = answer.text("refresh_token");
            let family = &mut self.families[at];
            family.before = Some(std::mem::replace(&mut family.newest, next));
            family.rotated_at = self.model.now;
            let access = family.access.as_issued(answer.is_offline());
            self.remember_token(access, answer.text("access_token"));
        }
    }

    /// RFC 9700 §4.14.2: within the grace period the same successor, after it the end of the family.
    pub(super) async fn repeat_refresh(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.families, index) else { return };
        let family = &self.families[at];
        let Some(before) = family.before.clone() else { return };
        let access = family.access;
        // A refusal for what its app has lost does not end the family.
        if !self.model.app_enabled(access.app) || !self.model.is_whole(&access) {
            return;
        }
        if access.is_for_api() {
            self.catch_up(node).await;
        }
        let answer = self.refresh_with(node, access.app, &before).await;
        agree(self.model.expect_repeat(&self.families[at]), answer.status == 200, "a repeated refresh token");
        if answer.status == 200 {
            assert_eq!(answer.text("refresh_token"), self.families[at].newest, "the same successor");
            self.remember_token(access, answer.text("access_token"));
        } else {
            self.revoke_grant(&access);
        }
    }

    pub(super) async fn exchange(&mut self, node: usize, index: usize) {
        let for_claims = |at: &usize| !self.tokens[*at].is_by_exchange() && !self.tokens[*at].access.is_for_api();
        let Some(at) = newest(&self.tokens, index).filter(for_claims) else { return };
        self.catch_up(node).await;
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", self.tokens[at].secret.as_str()),
            ("subject_token_type", ACCESS_TOKEN),
        ];
        let answer = self.token(node, APPS, &form).await;
        let source = &self.tokens[at];
        let access = source.access.until_sign_out();
        let allowed = self.model.settings().has(access.app, Part::TokenExchange);
        let expected = self.model.expect_token(source).and(self.model.expect_access(&access));
        let expected = if allowed { expected } else { Expect::Refused };
        agree(expected, answer.status == 200, "a token exchange");
        if answer.status == 200 {
            let (secret, expires_at) = (answer.text("access_token"), source.expires_at);
            let (source_revoked, service_version) = (source.revoked, Some(self.model.service_version()));
            let token = Token { secret, access, expires_at, revoked: false, source_revoked, service_version };
            remember(&mut self.tokens, token);
        }
    }
}
