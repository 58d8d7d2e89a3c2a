//! A database that goes away: 503 in the form of whoever asks, never a success, and everything as before when it is back.

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};

use super::{http, refresh, text, tokens, userinfo};
use crate::support::database::refuse_connections;
use crate::support::program::within;
use crate::support::{SECRET, Server};

/// A database taken away: on PostgreSQL it takes no connections and the ones there are are ended; on SQLite somebody else
/// holds the write lock, past the time that ours waits for it.
struct Away {
    admin: DatabaseConnection,
    name: Option<String>,
}

impl Away {
    async fn begin(server: &Server) -> Self {
        let url = server.app.config.database();
        if url.is_sqlite() {
            let mut options = sea_orm::ConnectOptions::new(url.as_str());
            options.max_connections(1).sqlx_logging(false);
            let admin = Database::connect(options).await.unwrap();
            admin.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
            return Self { admin, name: None };
        }
        let admin = Database::connect(std::env::var("TEST_POSTGRES_URL").unwrap()).await.unwrap();
        let name = url.as_str().rsplit('/').next().unwrap().to_owned();
        refuse_connections(&admin, &name).await;
        Self { admin, name: Some(name) }
    }

    async fn end(self) {
        let back = match &self.name {
            Some(name) => format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
            None => "ROLLBACK".to_owned(),
        };
        self.admin.execute_unprepared(&back).await.unwrap();
        self.admin.close().await.unwrap();
    }
}

/// What other nodes revoke meanwhile, this one cannot know: for 30 seconds the gate goes on by what it remembers, and no
/// longer. `SQLite` has no other nodes, and goes on being read.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_gate_that_hears_nothing_of_the_others_lets_nobody_in() {
    let server = crate::gate::with_gate(serde_json::json!({})).await;
    let secret = crate::gate::webs_secret();
    let asked = async || crate::gate::nginx(&server, "GET", "/orders/1", &[("authorization", &secret)]).await.status;
    let (store, postgres) = (server.app.store(), !server.app.config.database().is_sqlite());
    assert_eq!(asked().await, 200);
    let away = Away::begin(&server).await;
    assert_eq!(store.authority().catch_up(store).await.is_err(), postgres);
    server.advance(29);
    assert_eq!(asked().await, 200, "a database that is replaced by its standby stops no API");
    server.advance(2);
    assert_eq!(asked().await, if postgres { 503 } else { 200 });
    away.end().await;
    store.authority().catch_up(store).await.unwrap();
    assert_eq!(asked().await, 200);
}

/// "A database that goes away: 503, and recovery without a restart"; T27, CVE-2020-15223: a revocation that swallowed a
/// storage error. While it is away, what needs it says so in its form, a revocation or a sign-out never says that it is done, and what
/// needs no database goes on. When it is back, so is everything, and nothing that was refused has happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_goes_away_and_comes_back() {
    let server = Server::with_alice().await;
    let postgres = !server.app.config.database().is_sqlite();
    let held = tokens(&server, "openid offline_access").await;
    let (access, token) = (text(&held, "access_token"), text(&held, "refresh_token"));
    let browser = server.browser();
    let (action, form) =
        browser.page("/login").await.form(&[("username", "alice"), ("password", crate::support::PASSWORD)]);
    let signed_in = server.browser();
    signed_in.sign_in_as("alice").await;
    let leaving = server.browser();
    leaving.sign_in_as("alice").await;
    let (out, out_form) = leaving.page("/oauth2/logout").await.form(&[("decision", "allow")]);
    let away = Away::begin(&server).await;

    let revoke = |token: String| {
        let request = http().post(format!("{}/oauth2/revoke", server.url)).basic_auth("web", Some(SECRET));
        request.form(&[("token", token)]).send()
    };
    let (refreshed, revoked_access, revoked_refresh, login, logout, ready, credentials) = tokio::join!(
        refresh(&server, &token),
        revoke(access.clone()),
        revoke(token.clone()),
        browser.raw_post(&action, &form),
        leaving.raw_post(&out, &out_form),
        http().get(format!("{}/readyz", server.url)).send(),
        server.token(&[("grant_type", "client_credentials")]),
    );
    assert_eq!((refreshed.0, refreshed.1["error"].as_str()), (503, Some("temporarily_unavailable")));
    for answer in [revoked_access.unwrap(), revoked_refresh.unwrap()] {
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
        assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["error"], "temporarily_unavailable");
    }
    assert_eq!(login.status(), 503);
    assert!(login.headers().contains_key("retry-after") && !login.headers().contains_key("set-cookie"));
    assert!(login.text().await.unwrap().contains("data-error=\"temporarily_unavailable\""));
    assert_eq!(logout.status(), 503, "nobody is told that they are signed out");
    assert!(logout.text().await.unwrap().contains("data-error=\"temporarily_unavailable\""));
    assert_eq!(ready.unwrap().status(), 503);
    // Whether the client's secret is still good is asked of the database; SQLite goes on reading.
    assert_eq!(credentials.0, if postgres { 503 } else { 200 });
    if postgres {
        let page = signed_in.open("/account").await.ok().unwrap();
        assert_eq!((page.status, page.error().as_str()), (503, "temporarily_unavailable"));
        assert_eq!(userinfo(&server, &access).await, 503);
    }
    away.end().await;

    within(5, || async { http().get(format!("{}/readyz", server.url)).send().await.unwrap().status() == 200 }).await;
    assert_eq!(userinfo(&server, &access).await, 200, "what was refused has not happened");
    assert_eq!(refresh(&server, &token).await.0, 200);
    assert_eq!(signed_in.page("/account").await.status, 200);
    assert_eq!(leaving.page("/account").await.status, 200);
    assert_eq!(browser.raw_post(&action, &form).await.status(), 303);
}

/// While a node is cut off, others revoke: after 30 seconds without the feed none of its endpoints says yes, and none says
/// that a token is inactive either. When it is back, it knows what was revoked before it answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_out_of_touch_says_neither_yes_nor_no() {
    let server = Server::with_alice().await;
    let other = server.node().await;
    let held = tokens(&server, "openid offline_access").await;
    let access = text(&held, "access_token");
    if server.app.config.database().is_sqlite() {
        // The one node of an SQLite database reads it as long as it runs: silence alone is no reason to refuse.
        server.advance(3600);
        assert_eq!(userinfo(&other, &text(&tokens(&other, "openid").await, "access_token")).await, 200);
        return;
    }
    let away = Away::begin(&other).await;
    let introspect = async || {
        let request = http().post(format!("{}/oauth2/introspect", other.url)).basic_auth("web", Some(SECRET));
        request.form(&[("token", access.as_str())]).send().await.unwrap()
    };
    server.advance(31);
    let answers = [
        introspect().await,
        http().get(format!("{}/oauth2/userinfo", other.url)).bearer_auth(&access).send().await.unwrap(),
    ];
    for answer in answers {
        assert_eq!((answer.status().as_u16(), answer.headers().contains_key("retry-after")), (503, true));
    }
    assert_eq!(other.token(&[("grant_type", "client_credentials")]).await.0, 503);
    assert_eq!(refresh(&other, &text(&held, "refresh_token")).await.0, 503);
    away.end().await;
    let alice = server.person("alice").await.id;
    let by = signet::manage::AuditContext::command_line();
    signet::manage::users::disable(&server.app.manager(), &by, alice).await.unwrap();
    server.advance(5);
    assert_eq!(userinfo(&other, &access).await, 401, "it reads the feed before it answers");
}
