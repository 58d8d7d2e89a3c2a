//! How far a revocation reaches: everything that hangs on what has ended, at every place that believes it.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use signet::domain::ids::ClientId;
use signet::manage::{AuditContext, clients, consents, users};

use super::{active, refresh, text, tokens, userinfo};
use crate::support::{Browser, Server};

/// What ends everything that alice has let `web` have; `true` where offline access goes on.
const DEEDS: [(&str, bool); 9] = [
    ("disable the person", false),
    ("disable and enable the person", false),
    ("delete the person", false),
    ("take back the consent", false),
    ("disable the client", false),
    ("disable and enable the client", false),
    ("delete the client", false),
    ("change the password", false),
    ("end the session", true),
];

async fn do_it(server: &Server, deed: &str) {
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let (alice, web) = (server.person("alice").await.id, ClientId::parse("web").unwrap());
    match deed {
        "disable the person" => drop(users::disable(&manager, &by, alice).await.unwrap()),
        "disable and enable the person" => {
            users::disable(&manager, &by, alice).await.unwrap();
            users::enable(&manager, &by, alice).await.unwrap();
        }
        "delete the person" => users::delete(&manager, &by, alice).await.unwrap(),
        "take back the consent" => consents::revoke(&manager, &by, alice, web).await.unwrap(),
        "disable the client" => drop(clients::disable(&manager, &by, &web).await.unwrap()),
        "disable and enable the client" => {
            clients::disable(&manager, &by, &web).await.unwrap();
            clients::enable(&manager, &by, &web).await.unwrap();
        }
        "delete the client" => clients::delete(&manager, &by, &web).await.unwrap(),
        "change the password" => {
            let password = signet::domain::secret::Secret::new("another long password of hers".to_owned());
            users::set_password(&manager, &by, alice, password, None).await.unwrap();
        }
        "end the session" => drop(users::end_sessions(&manager, &by, alice, None).await.unwrap()),
        other => panic!("{other}"),
    }
}

/// T5, CVE-2026-43983: refresh ignored a disabled user, a revoked consent. After each deed a code that was not redeemed
/// yet, access tokens of both forms and the refresh token are refused everywhere: at once on the node that did it, and
/// on another one as soon as it has read the feed (twice a second); codes and refresh tokens at once on both.
#[tokio::test]
async fn after_each_deed_everything_is_refused() {
    for (deed, offline_goes_on) in DEEDS {
        let server = Server::with_alice().await;
        let other = server.node().await;
        let (browser, mut all) = (server.browser(), Vec::new());
        for scope in ["openid email", "openid email offline_access"] {
            for node in [&server, &other] {
                let path = server.authorize(&[("scope", scope)]);
                let codes = [browser.sign_in(&path).await, browser.sign_in(&path).await];
                let held = server.redeem(&codes[1]["code"]).await.1;
                all.push((scope, node, codes[0]["code"].clone(), held));
            }
        }
        server.advance(1);
        do_it(&server, deed).await;
        server.advance(1);
        for (scope, node, code, held) in all {
            let stays = offline_goes_on && scope.contains("offline");
            let case = format!("{deed}, {scope}");
            // Before the other node has heard of it: what is asked of the database is refused already.
            if ["disable the person", "delete the person", "end the session"].contains(&deed) {
                assert_eq!(node.redeem(&code).await.0 == 200, stays, "{case}: the code");
            }
            node.app.store().authority().catch_up(node.app.store()).await.unwrap();
            assert_eq!(userinfo(node, &text(&held, "access_token")).await == 200, stays, "{case}: UserInfo");
            assert_ne!(node.redeem(&code).await.0, 200, "{case}: the code again");
            let refreshed = refresh(node, &text(&held, "refresh_token")).await;
            assert_eq!(refreshed.0 == 200, stays, "{case}: refresh, {}", refreshed.1);
        }
        other.app.store().close().await;
        server.app.store().close().await;
    }
}

/// T5, CVE-2026-43983: what is revoked while a code waits to be redeemed ends the code, although no token hangs on it
/// yet.
#[tokio::test]
async fn a_code_ends_with_what_it_hangs_on() {
    for deed in ["take back the consent", "disable and enable the client", "change the password", "end the session"] {
        let server = Server::with_alice().await;
        let code = server.code("openid").await;
        server.advance(1);
        do_it(&server, deed).await;
        server.advance(1);
        assert_eq!(server.redeem(&code).await.1["error"], "invalid_grant", "{deed}");
    }
}

/// T5: a client whose secret is replaced, whose scopes are taken away or that may refresh no more.
#[tokio::test]
async fn a_client_has_what_it_is_registered_for_now() {
    let server = Server::with_alice().await;
    let (manager, by, web) = (server.app.manager(), AuditContext::command_line(), ClientId::parse("web").unwrap());
    let held = tokens(&server, "openid email offline_access").await;
    let client = server.app.store().authority().client(server.app.store(), &web).await.unwrap().unwrap();
    let mut meta = client.meta.clone();
    meta.scope = "openid offline_access".split(' ').collect();
    clients::update(&manager, &by, &web, meta.clone()).await.unwrap();
    let next = refresh(&server, &text(&held, "refresh_token")).await.1;
    assert_eq!(next["scope"], "openid offline_access");
    meta.grant_types.retain(|grant| *grant == signet::domain::client_metadata::GrantType::AuthorizationCode);
    meta.scope = "openid".split(' ').collect();
    clients::update(&manager, &by, &web, meta).await.unwrap();
    assert_eq!(refresh(&server, &text(&next, "refresh_token")).await.1["error"], "unauthorized_client");
    assert_eq!(userinfo(&server, &text(&next, "access_token")).await, 200);
    let new = clients::rotate_secret(&manager, &by, &web, None).await.unwrap();
    assert_eq!(refresh(&server, &text(&next, "refresh_token")).await.0, 401, "the old secret is void at once");
    assert_eq!(userinfo(&server, &text(&next, "access_token")).await, 401, "and what was got by it");
    let introspection =
        super::http().post(format!("{}/oauth2/introspect", server.url)).basic_auth("web", Some(new.expose()));
    let told = introspection.form(&[("token", text(&next, "access_token"))]).send().await.unwrap();
    assert_eq!(told.json::<serde_json::Value>().await.unwrap(), serde_json::json!({ "active": false }));
}

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// A sign-in of alice's at one of the clients, for offline use or not.
    Issue(usize, bool),
    Refresh(usize),
    RevokeAccess(usize),
    RevokeRefresh(usize),
    ReplayCode(usize),
    TakeBack(usize),
    TurnClientOffAndOn(usize),
    TurnPersonOffAndOn,
    SignOut,
    Wait(i64),
}

const CLIENTS: [&str; 2] = ["one", "two"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2_usize, any::<bool>()).prop_map(|(client, offline)| Step::Issue(client, offline)),
        3 => (0..8_usize).prop_map(Step::Refresh),
        2 => (0..8_usize).prop_map(Step::RevokeAccess),
        1 => (0..8_usize).prop_map(Step::RevokeRefresh),
        1 => (0..8_usize).prop_map(Step::ReplayCode),
        1 => (0..2_usize).prop_map(Step::TakeBack),
        1 => (0..2_usize).prop_map(Step::TurnClientOffAndOn),
        1 => Just(Step::TurnPersonOffAndOn),
        1 => Just(Step::SignOut),
        2 => prop_oneof![Just(1_i64), Just(15), Just(400), Just(700)].prop_map(Step::Wait),
    ]
}

/// What the model knows of one grant: its newest refresh token, and every access token with its end.
struct Grant {
    client: usize,
    offline: bool,
    code: String,
    refresh: String,
    revoked: bool,
    access: Vec<(String, i64)>,
}

struct World {
    server: Server,
    browser: Browser,
    grants: Vec<Grant>,
}

impl World {
    async fn begin() -> Self {
        let server = Server::start().await;
        server.user("alice").await;
        for client in CLIENTS {
            server.client(client, json!({ "consent": "trusted" })).await;
        }
        let browser = server.browser();
        Self { server, browser, grants: Vec::new() }
    }

    fn end(&mut self, which: impl Fn(&Grant) -> bool) {
        for grant in self.grants.iter_mut().filter(|grant| which(grant)) {
            grant.revoked = true;
        }
    }

    async fn token(&self, client: usize, form: &[(&str, &str)]) -> (u16, serde_json::Value) {
        self.server.token_as(CLIENTS[client], form).await
    }

    async fn redeem(&self, client: usize, code: &str) -> (u16, serde_json::Value) {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", crate::support::CALLBACK),
            ("code_verifier", crate::support::VERIFIER),
        ];
        self.token(client, &form).await
    }

    async fn step(&mut self, step: &Step) {
        // Each at a time of its own: what is revoked and what is issued in one millisecond has no order.
        self.server.advance(1);
        let (manager, by) = (self.server.app.manager(), AuditContext::command_line());
        let at = |at: usize| if self.grants.is_empty() { None } else { Some(at % self.grants.len()) };
        let end = self.server.app.env().now().seconds() + self.server.app.config.lifetimes.access_token;
        match step {
            Step::Issue(client, offline) => {
                let scope = if *offline { "openid offline_access" } else { "openid" };
                let path = self.server.authorize(&[("client_id", CLIENTS[*client]), ("scope", scope)]);
                let code = self.browser.sign_in(&path).await["code"].clone();
                let (_, tokens) = self.redeem(*client, &code).await;
                let access = vec![(text(&tokens, "access_token"), end)];
                let refresh = text(&tokens, "refresh_token");
                self.grants.push(Grant { client: *client, offline: *offline, code, refresh, revoked: false, access });
            }
            Step::Refresh(index) => {
                let Some(index) = at(*index) else { return };
                let grant = &self.grants[index];
                let form = [("grant_type", "refresh_token"), ("refresh_token", grant.refresh.as_str())];
                let (status, tokens) = self.token(grant.client, &form).await;
                assert_eq!(status == 200, !grant.revoked, "{tokens}");
                if status == 200 {
                    let grant = &mut self.grants[index];
                    grant.refresh = text(&tokens, "refresh_token");
                    grant.access.push((text(&tokens, "access_token"), end));
                }
            }
            Step::RevokeAccess(index) => {
                let Some(index) = at(*index) else { return };
                let Some((token, _)) = self.grants[index].access.pop() else { return };
                let client = CLIENTS[self.grants[index].client];
                assert_eq!(super::revoke(&self.server, client, &token).await, 200);
                assert!(!active(&self.server, client, &token).await);
            }
            Step::RevokeRefresh(index) => {
                let Some(index) = at(*index) else { return };
                let client = CLIENTS[self.grants[index].client];
                assert_eq!(super::revoke(&self.server, client, &self.grants[index].refresh).await, 200);
                self.grants[index].revoked = true;
            }
            Step::ReplayCode(index) => {
                let Some(index) = at(*index) else { return };
                let code = self.grants[index].code.clone();
                assert_eq!(self.redeem(self.grants[index].client, &code).await.0, 400);
                self.grants[index].revoked = true;
            }
            Step::TakeBack(client) => {
                let alice = self.server.person("alice").await.id;
                // Refused where there is nothing to take back.
                consents::revoke(&manager, &by, alice, ClientId::parse(CLIENTS[*client]).unwrap()).await.ok();
                self.end(|grant| grant.client == *client);
            }
            Step::TurnClientOffAndOn(client) => {
                let id = ClientId::parse(CLIENTS[*client]).unwrap();
                clients::disable(&manager, &by, &id).await.unwrap();
                clients::enable(&manager, &by, &id).await.unwrap();
                self.end(|grant| grant.client == *client);
            }
            Step::TurnPersonOffAndOn => {
                let alice = self.server.person("alice").await.id;
                users::disable(&manager, &by, alice).await.unwrap();
                users::enable(&manager, &by, alice).await.unwrap();
                self.end(|_| true);
            }
            Step::SignOut => {
                let alice = self.server.person("alice").await.id;
                users::end_sessions(&manager, &by, alice, None).await.unwrap();
                self.end(|grant| !grant.offline);
            }
            Step::Wait(seconds) => self.server.advance(*seconds),
        }
    }

    /// Introspection and UserInfo against the model, for every token there is.
    async fn compare(&self, after: &Step) {
        let now = self.server.app.env().now().seconds();
        for grant in &self.grants {
            let client = CLIENTS[grant.client];
            assert_eq!(active(&self.server, client, &grant.refresh).await, !grant.revoked, "after {after:?}");
            for (token, end) in &grant.access {
                let good = !grant.revoked && now < *end;
                assert_eq!(active(&self.server, client, token).await, good, "after {after:?}");
                assert_eq!(userinfo(&self.server, token).await == 200, good, "after {after:?}");
            }
        }
    }
}

/// T28, CVE-2026-8922: revocation policies ignored by introspection. Over random histories introspection, UserInfo and
/// refresh say what a model of forty lines says.
#[test]
fn introspection_agrees_with_a_model_over_random_histories() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config { cases: 8, max_shrink_iters: 20, failure_persistence: None, ..Config::default() };
    let histories = proptest::collection::vec(step(), 4..16);
    let outcome = TestRunner::new(config).run(&histories, |history| {
        runtime.block_on(async {
            let mut world = World::begin().await;
            for step in &history {
                world.step(step).await;
                world.compare(step).await;
            }
            world.server.app.store().close().await;
        });
        Ok(())
    });
    outcome.unwrap();
}
