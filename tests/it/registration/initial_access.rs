//! Who may register (RFC 7591 §3): nobody, who has an initial access token, anybody; and those tokens.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use signet::config::{Config, RegistrationMode};
use signet::domain::event::EventKind;
use signet::manage::{AuditContext, registration};
use signet::server::background::Maintenance;
use signet::store::events;

use super::{access, ask, managed};
use crate::support::Server;
use crate::support::program::Program;
use crate::support::receiver::{self, Receiver};

/// The setting says who: nobody, who has a token, anybody.
#[tokio::test]
async fn registration_is_off_or_by_token_or_open() {
    let body = json!({ "redirect_uris": ["https://app.example/cb"] });
    let listed = |server: &Server| {
        let url = format!("{}/.well-known/openid-configuration", server.url);
        async move { reqwest::get(url).await.unwrap().json::<Value>().await.unwrap().get("registration_endpoint").cloned() }
    };
    let off = Server::start().await;
    assert_eq!(ask(&off, Method::POST, "", None, Some(&body)).await.status(), 404);
    assert_eq!(ask(&off, Method::GET, "/x", Some("t"), None).await.status(), 404);
    assert_eq!(listed(&off).await, None);
    let by_token = Server::start_with(|config: &mut Config| config.registration = RegistrationMode::Token).await;
    assert!(listed(&by_token).await.is_some());
    let bare = ask(&by_token, Method::POST, "", None, Some(&body)).await;
    assert_eq!((bare.status().as_u16(), bare.headers()["www-authenticate"].to_str().unwrap()), (401, "Bearer"));
    let token = access(&by_token, Some(3)).await;
    let twice = ask(&by_token, Method::POST, "", Some("sgn_guess"), Some(&body)).await;
    assert_eq!(twice.status(), 401);
    // However many at once, as often as it says.
    let asked = join_all((0..8).map(|_| ask(&by_token, Method::POST, "", Some(token.expose()), Some(&body)))).await;
    assert_eq!(asked.iter().filter(|answer| answer.status() == 201).count(), 3);
    let token = access(&by_token, None).await;
    assert_eq!(ask(&by_token, Method::POST, "", Some(token.expose()), Some(&body)).await.status(), 201);
    by_token.advance(601);
    assert_eq!(ask(&by_token, Method::POST, "", Some(token.expose()), Some(&body)).await.status(), 401);
}

/// Without a good token nothing is fetched on a stranger's word (T19), and a refused registration costs no use of one.
#[tokio::test]
async fn an_initial_access_token_is_looked_at_first_and_used_last() {
    let there = Receiver::start().await;
    let server = Server::start_with(|config| {
        config.registration = RegistrationMode::Token;
        receiver::reachable(config);
    })
    .await;
    let sector = json!({ "redirect_uris": ["https://app.example/cb"], "sector_identifier_uri": there.at("/sector") });
    assert_eq!(ask(&server, Method::POST, "", Some("sgn_guess"), Some(&sector)).await.status(), 401);
    assert!(there.requests("/sector").is_empty());
    let token = access(&server, Some(1)).await;
    let body = json!({ "redirect_uris": ["https://app.example/cb"] });
    for (body, status) in [(&sector, 400), (&body, 201), (&body, 401)] {
        assert_eq!(ask(&server, Method::POST, "", Some(token.expose()), Some(body)).await.status(), status);
    }
    // Of the two kinds of tokens none is the other.
    let many = access(&server, None).await;
    let made: Value = ask(&server, Method::POST, "", Some(many.expose()), Some(&body)).await.json().await.unwrap();
    let (path, own) = managed(&made);
    assert_eq!(ask(&server, Method::POST, "", Some(own), Some(&body)).await.status(), 401);
    assert_eq!(ask(&server, Method::GET, &path, Some(many.expose()), None).await.status(), 401);
}

#[tokio::test]
async fn initial_access_tokens_are_listed_revoked_and_swept() {
    let server = Server::start_with(|config| config.registration = RegistrationMode::Token).await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let (token, made) = registration::create_initial_access_token(&manager, &by, None, 600).await.unwrap();
    let listed = registration::list_initial_access_tokens(server.app.store()).await.unwrap();
    assert!(listed.len() == 1 && listed[0].id == made.id && !format!("{listed:?}").contains(token.expose()));
    registration::revoke_access(&manager, &by, made.id).await.unwrap();
    let body = json!({ "redirect_uris": ["https://app.example/cb"] });
    assert_eq!(ask(&server, Method::POST, "", Some(token.expose()), Some(&body)).await.status(), 401);
    assert!(registration::revoke_access(&manager, &by, made.id).await.is_err(), "it is gone");
    let record = events::list(server.app.store().read(), &events::EventFilter { most: 9, ..Default::default() }).await;
    let kinds: Vec<EventKind> = record.unwrap().iter().map(|event| event.kind).collect();
    assert!(kinds.contains(&EventKind::InitialAccessCreated) && kinds.contains(&EventKind::InitialAccessRevoked));
    for (uses, seconds) in [(Some(0), 600), (Some(-1), 600), (None, 0), (None, -1), (None, i64::MAX)] {
        assert!(
            registration::create_initial_access_token(&manager, &by, uses, seconds).await.is_err(),
            "{uses:?} {seconds}"
        );
    }
    access(&server, None).await;
    // Nodes may have clocks that are ten minutes apart.
    server.advance(1_201);
    Maintenance::default().once(&server.app).await;
    assert!(registration::list_initial_access_tokens(server.app.store()).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_command_makes_lists_and_revokes_tokens() {
    let program = Program::installed().await;
    let said = program.done(&["client", "registration-token", "--uses", "2", "--expires-in", "600", "--json"]);
    let made: Value = serde_json::from_str(&said).unwrap();
    let (token, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert!(token.starts_with("sgn_") && made["uses_left"] == 2);
    let listed = program.done(&["client", "registration-tokens", "--json"]);
    assert!(!listed.contains(token));
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap()[0]["id"], id);
    assert!(program.done(&["client", "registration-token"]).contains("shown only now: sgn_"));
    program.done(&["client", "revoke-registration-token", id]);
    assert_eq!(program.run(&["client", "revoke-registration-token", id]).code, 1);
    assert_eq!(program.run(&["client", "registration-token", "--uses", "0"]).code, 2);
    assert_eq!(program.run(&["client", "registration-token", "--expires-in", "0"]).code, 1);
}
