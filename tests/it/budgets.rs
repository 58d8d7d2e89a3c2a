//! Statement budgets (what each hot path may ask the database), and that each of those statements is an index
//! look-up: latency must not grow with what is stored.

use std::sync::{Arc, LazyLock, Mutex};

use sea_orm::{ConnectionTrait as _, Database, DatabaseTransaction, DbBackend, Statement, TransactionTrait as _};
use serde_json::{Value, json};
use signet::domain::event::EventKind;
use signet::server::background::Maintenance;
use tracing::Dispatch;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::support::{SECRET, Server};

/// Every statement of this test's own server: `#[tokio::test]` runs it on this thread alone.
#[derive(Clone, Default)]
pub struct Statements(Arc<Mutex<Vec<String>>>);

struct Sql<'a>(&'a Statements);

impl Visit for Sql<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "sql" {
            self.0.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut Sql(self));
    }
}

impl Statements {
    pub fn record() -> (Self, tracing::subscriber::DefaultGuard) {
        // While there is one subscriber alone, a place that logs for the first time asks its own thread's, and another
        // test's thread has none: from then on it would be silent everywhere. With this one there are always two.
        static ANOTHER: LazyLock<Dispatch> =
            LazyLock::new(|| Dispatch::new(tracing_subscriber::registry().with(Statements::default())));
        LazyLock::force(&ANOTHER);
        let statements = Self::default();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(statements.clone()));
        (statements, guard)
    }

    /// What has been asked since the last call: reads and writes.
    pub fn take(&self) -> (Vec<String>, Vec<String>) {
        std::mem::take(&mut *self.0.lock().unwrap()).into_iter().partition(|sql| sql.starts_with("SELECT"))
    }
}

async fn introspect(server: &Server, token: &Value) -> Value {
    let http = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url)).basic_auth("web", Some(SECRET));
    http.form(&[("token", token.as_str().unwrap())]).send().await.unwrap().json().await.unwrap()
}

/// On PostgreSQL a change for other nodes takes a lock of its own; the hot paths make none.
#[tokio::test]
async fn each_hot_path_keeps_its_budget() {
    let server = Server::with_alice().await;
    let (statements, _guard) = Statements::record();
    let browser = server.browser();
    let offline = server.authorize(&[("scope", "openid offline_access")]);
    browser.sign_in(&offline).await;
    server.token(&[("grant_type", "client_credentials")]).await;

    statements.take();
    assert_eq!(server.token(&[("grant_type", "client_credentials")]).await.0, 200);
    let (reads, writes) = statements.take();
    assert_eq!(
        (reads.len(), writes.len()),
        (1, 0),
        "client_credentials with a JWT: is the secret still good {reads:#?}"
    );

    let code = browser.open(&offline).await.err().unwrap()["code"].clone();
    let (reads, writes) = statements.take();
    assert!(reads.len() <= 4 && writes.len() == 1, "authorize with a session and a grant: {reads:#?} {writes:#?}");

    let (_, tokens) = server.redeem(&code).await;
    let (reads, writes) = statements.take();
    assert!(reads.len() + writes.len() <= 4 && !writes.is_empty(), "code to tokens: {reads:#?} {writes:#?}");

    let refresh = tokens["refresh_token"].as_str().unwrap();
    let (_, tokens) = server.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    let (reads, writes) = statements.take();
    assert!(reads.len() + writes.len() <= 4 && !writes.is_empty(), "refresh: {reads:#?} {writes:#?}");

    // The first time the user comes into memory.
    assert_eq!(introspect(&server, &tokens["access_token"]).await["active"], true);
    statements.take();
    assert_eq!(introspect(&server, &tokens["access_token"]).await["active"], true);
    let (reads, writes) = statements.take();
    assert_eq!((reads.len(), writes.len()), (1, 0), "introspecting a JWT: {reads:#?}");
    assert_eq!(introspect(&server, &tokens["refresh_token"]).await["active"], true);
    let (reads, writes) = statements.take();
    assert!(reads.len() <= 3 && writes.is_empty(), "introspecting a refresh token: {reads:#?} {writes:#?}");
}

/// How the engine would find the rows of `sql`, whatever its parameters are.
async fn plan(db: &DatabaseTransaction, sql: &str) -> Vec<String> {
    let backend = db.get_database_backend();
    let (explain, column) = if backend == DbBackend::Sqlite {
        (format!("EXPLAIN QUERY PLAN {sql}"), "detail")
    } else {
        db.execute_unprepared(&format!("PREPARE plan AS {sql}")).await.unwrap();
        let parameters = (1..100).take_while(|n| sql.contains(&format!("${n}"))).map(|_| "NULL").collect::<Vec<_>>();
        let list = if parameters.is_empty() { String::new() } else { format!("({})", parameters.join(", ")) };
        (format!("EXPLAIN EXECUTE plan{list}"), "QUERY PLAN")
    };
    let steps = db.query_all_raw(Statement::from_string(backend, explain)).await.unwrap();
    if backend == DbBackend::Postgres {
        db.execute_unprepared("DEALLOCATE plan").await.unwrap();
    }
    steps.iter().map(|step| step.try_get("", column).unwrap()).collect()
}

/// PostgreSQL would read a small table whole; told that this is dear, it shows whether there is an index to use.
#[tokio::test]
async fn every_statement_of_a_hot_path_is_an_index_look_up() {
    let server = Server::with_alice().await;
    server.client("opaque", json!({ "access_token_format": "opaque" })).await;
    let (statements, guard) = Statements::record();
    let browser = server.browser();
    let page = browser.page("/login").await;
    browser.submit(&page, &[("username", "alice"), ("password", "not the password")]).await.ok().unwrap();
    for client in ["web", "opaque"] {
        let callback = browser.sign_in(&server.authorize(&[("client_id", client)])).await;
        let (_, tokens) = server
            .token_as(
                client,
                &[
                    ("grant_type", "authorization_code"),
                    ("code", &callback["code"]),
                    ("redirect_uri", crate::support::CALLBACK),
                    ("code_verifier", crate::support::VERIFIER),
                ],
            )
            .await;
        let refresh = tokens["refresh_token"].as_str().unwrap();
        server.token_as(client, &[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
        introspect(&server, &tokens["access_token"]).await;
    }
    browser.page("/account").await;
    drop(guard);
    let (reads, writes) = statements.take();
    assert!(reads.len() > 10 && writes.len() > 10);
    assert_indexed(&server, reads.into_iter().chain(writes)).await;
}

/// A used code stays while its refresh tokens are good: the sweep must not read all of these rows each time.
#[tokio::test]
async fn the_sweep_of_codes_is_by_index() {
    let server = Server::with_alice().await;
    let (used, _unused) = (server.code("openid offline_access").await, server.code("openid").await);
    assert_eq!(server.redeem(&used).await.0, 200);
    let mut upkeep = Maintenance::default();
    upkeep.once(&server.app).await;
    server.advance(2 * 86_400);
    let (statements, guard) = Statements::record();
    upkeep.once(&server.app).await;
    drop(guard);
    let (reads, writes) = statements.take();
    let of_codes: Vec<String> = reads.into_iter().chain(writes).filter(|sql| sql.contains("\"code\"")).collect();
    let count = |verb: &str| of_codes.iter().filter(|sql| sql.starts_with(verb)).count();
    assert_eq!((count("UPDATE"), count("DELETE")), (1, 1), "one is kept, and looked at once: {of_codes:#?}");
    assert_indexed(&server, of_codes).await;
}

/// A search for what has no index with the kind of event beside it must not read every event of that kind.
#[tokio::test]
async fn a_search_within_a_kind_does_not_read_all_events_of_the_kind() {
    let (server, admin) = crate::console::with_admin().await;
    let db = Database::connect(server.app.config.database().as_str()).await.unwrap();
    let db = db.begin().await.unwrap();
    if db.get_database_backend() == DbBackend::Postgres {
        return db.rollback().await.unwrap();
    }
    let (statements, guard) = Statements::record();
    admin.page(&format!("/admin/events?q=203.0.113.9&kind={}", EventKind::SignedIn.name())).await;
    drop(guard);
    let (reads, _) = statements.take();
    let searches: Vec<String> = reads.into_iter().filter(|sql| sql.contains("\"request_id\" =")).collect();
    assert!(!searches.is_empty());
    for sql in searches {
        let steps = plan(&db, &sql).await;
        for index in ["event_request_id_id_idx", "event_address_id_idx"] {
            assert!(steps.iter().any(|step| step.contains(index)), "{index}: {steps:#?}");
        }
        assert!(!steps.iter().any(|step| step.contains("event_kind_id_idx")), "{sql}: {steps:#?}");
    }
}

async fn assert_indexed(server: &Server, statements: impl IntoIterator<Item = String>) {
    let db = Database::connect(server.app.config.database().as_str()).await.unwrap();
    let db = db.begin().await.unwrap();
    if db.get_database_backend() == DbBackend::Postgres {
        db.execute_unprepared("SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan")
            .await
            .unwrap();
    }
    for sql in statements.into_iter().filter(|sql| !sql.starts_with("INSERT")) {
        // The list of APIs is short, and read once for every change of it.
        if sql.contains("FROM \"api\"") || sql.contains("pg_advisory") {
            continue;
        }
        let steps = plan(&db, &sql).await;
        // The rows of a subquery that its own LIMIT bounds (`store::quotas`).
        let steps: Vec<String> = steps.into_iter().filter(|step| step != "SCAN bounded").collect();
        assert!(!steps.iter().any(|step| step.starts_with("SCAN") || step.contains("Seq Scan")), "{sql}: {steps:#?}");
    }
}
