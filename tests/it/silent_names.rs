//! What strangers name never delays what administrators registered: hosts whose name servers are silent,
//! named by the hundred, against registered clients' keys, other clients' documents and sign-outs. And what is not the
//! client's fault is no `invalid_client`.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use signet::domain::event::EventKind;
use signet::store::events;
use tokio::task::JoinHandle;

use crate::support::name_server::NameServer;
use crate::support::receiver::{self, Answer, Receiver};
use crate::support::signer::ClientKey;
use crate::support::{CALLBACK, Server};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const KEYS: &str = "keys.example.test";
/// What strangers name.
const MANY: usize = 100;
/// A request that waits for the strangers' is given up before.
const SOON: Duration = Duration::from_secs(5);

async fn soon<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, answer).await.expect("it waits for what strangers named")
}

/// A server that asks a name server which is silent about every name but [`KEYS`] and `app.example.test`.
async fn with_names() -> (Server, NameServer, Receiver) {
    let names = NameServer::start().await;
    names.knows(KEYS);
    names.knows("app.example.test");
    let server = Server::start_with(|config| names.used_by(config)).await;
    server.user("alice").await;
    (server, names, Receiver::start().await)
}

/// The address of `path` at the receiver, by a name.
fn named(receiver: &Receiver, name: &str, path: &str) -> String {
    receiver.at(path).replace("127.0.0.1", name)
}

/// Requests of strangers under way, each of which names another silent host; dropped, they end.
struct Strangers(Vec<JoinHandle<u16>>);

impl Strangers {
    async fn ask(server: &Server, names: &NameServer, number: usize) -> Self {
        let before = names.names_asked();
        let http = reqwest::Client::new();
        let ask = |n: usize| {
            let client = format!("https://client-{n}.silent.test/client.json");
            let request = http.get(format!("{}{}", server.url, server.authorize(&[("client_id", &client)]))).send();
            tokio::spawn(async move { request.await.unwrap().status().as_u16() })
        };
        let all = Self((0..number).map(ask).collect());
        let mut waited = 0;
        while names.names_asked() - before < number.min(60) {
            tokio::time::sleep(Duration::from_millis(10)).await;
            waited += 1;
            assert!(waited < 1000, "{} of {number} names were asked for", names.names_asked() - before);
        }
        all
    }

    async fn answers(mut self) -> Vec<u16> {
        join_all(std::mem::take(&mut self.0)).await.into_iter().map(Result::unwrap).collect()
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

struct Answered {
    status: u16,
    retry_after: bool,
    body: Value,
}

/// A request for a token with an assertion by `key`.
async fn assert_client(server: &Server, client: &str, key: &ClientKey) -> Answered {
    let now = server.app.env().now().seconds();
    let claims = json!({ "iss": client, "sub": client, "aud": server.url, "exp": now + 60, "iat": now,
        "jti": server.app.env().uuid().to_string() });
    let assertion = key.sign(&claims);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion.as_str()),
    ];
    let response =
        reqwest::Client::new().post(format!("{}/oauth2/token", server.url)).form(&form).send().await.unwrap();
    Answered {
        status: response.status().as_u16(),
        retry_after: response.headers().contains_key("retry-after"),
        body: response.json().await.unwrap(),
    }
}

async fn register(server: &Server, client: &str, jwks_uri: &str) {
    server.client(client, json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": jwks_uri })).await;
}

#[tokio::test]
async fn silent_names_of_strangers_delay_no_registered_client() {
    let (server, names, receiver) = with_names().await;
    let key = ClientKey::new("k", "ES256");
    receiver.answer("/jwks", Answer::json(&key.jwks()));
    register(&server, "robot", &named(&receiver, KEYS, "/jwks")).await;
    let strangers = Strangers::ask(&server, &names, MANY).await;
    let answered = soon(assert_client(&server, "robot", &key)).await;
    assert_eq!(answered.status, 200, "{}", answered.body);
    assert_eq!(receiver.requests("/jwks").len(), 1, "it was fetched, not remembered");
    let answers = strangers.answers().await;
    assert!(answers.iter().all(|status| *status == 503), "{answers:?}");
}

#[tokio::test]
async fn slow_hosts_delay_no_other_clients_document() {
    let (server, names, receiver) = with_names().await;
    let id = named(&receiver, "app.example.test", "/client.json");
    receiver.answer("/client.json", Answer::json(&json!({ "client_id": id, "redirect_uris": [CALLBACK] })));
    let _strangers = Strangers::ask(&server, &names, MANY * 2).await;
    let asked = server.authorize(&[("client_id", &id), ("scope", "openid")]);
    assert_eq!(soon(server.browser().page(&asked)).await.name(), "login");
}

#[tokio::test]
async fn silent_names_delay_no_sign_out() {
    let (server, names, receiver) = with_names().await;
    receiver.answer("/told", Answer::status(204));
    let told = named(&receiver, KEYS, "/told");
    server.client("web", json!({ "backchannel_logout_uri": told })).await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    let alice = server.person("alice").await.id;
    let _strangers = Strangers::ask(&server, &names, MANY).await;
    let by = signet::manage::AuditContext::command_line();
    signet::manage::users::end_sessions(&server.app.manager(), &by, alice, None).await.unwrap();
    soon(server.deliver()).await;
    assert_eq!(receiver.requests("/told").len(), 1);
}

/// A silent name server, a silent host and one that fails are 503; a host that says what it has is believed.
#[tokio::test]
async fn keys_that_cannot_be_fetched_are_no_invalid_client() {
    let (server, _names, receiver) = with_names().await;
    let key = ClientKey::new("k", "ES256");
    receiver.answer("/silent", Answer::silence());
    receiver.answer("/failing", Answer::status(502));
    receiver.answer("/other", Answer::json(&ClientKey::new("k", "ES256").jwks()));
    receiver.answer("/nonsense", Answer::json(&json!([])));
    for (client, jwks_uri, status, error) in [
        ("silent-name", "https://keys.silent.test/jwks".to_owned(), 503, "temporarily_unavailable"),
        ("silent-host", receiver.at("/silent"), 503, "temporarily_unavailable"),
        ("failing", receiver.at("/failing"), 503, "temporarily_unavailable"),
        ("closed", "http://127.0.0.1:9/jwks".to_owned(), 503, "temporarily_unavailable"),
        ("missing", receiver.at("/missing"), 401, "invalid_client"),
        ("nonsense", receiver.at("/nonsense"), 401, "invalid_client"),
        ("other", receiver.at("/other"), 401, "invalid_client"),
    ] {
        register(&server, client, &jwks_uri).await;
        let answered = assert_client(&server, client, &key).await;
        assert_eq!((answered.status, &answered.body["error"]), (status, &json!(error)), "{client}: {}", answered.body);
        assert_eq!(answered.retry_after, status == 503, "{client}");
    }
}

/// The same for a client that nobody registered: an unreachable host and a silent name server are not its fault.
#[tokio::test]
async fn keys_of_strangers_that_cannot_be_fetched_are_503() {
    let (server, _names, receiver) = with_names().await;
    let key = ClientKey::new("k", "ES256");
    receiver.answer("/silent", Answer::silence());
    receiver.answer("/failing", Answer::status(502));
    receiver.answer("/nonsense", Answer::json(&json!([])));
    for (path, jwks_uri, status, error) in [
        ("/1.json", "https://keys.silent.test/jwks".to_owned(), 503, "temporarily_unavailable"),
        ("/2.json", receiver.at("/silent"), 503, "temporarily_unavailable"),
        ("/3.json", receiver.at("/failing"), 503, "temporarily_unavailable"),
        ("/4.json", "http://127.0.0.1:9/jwks".to_owned(), 503, "temporarily_unavailable"),
        ("/5.json", receiver.at("/missing"), 401, "invalid_client"),
        ("/6.json", receiver.at("/nonsense"), 401, "invalid_client"),
    ] {
        let id = receiver.at(path);
        receiver.answer(
            path,
            Answer::json(&json!({ "client_id": id, "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": jwks_uri })),
        );
        let answered = assert_client(&server, &id, &key).await;
        assert_eq!(
            (answered.status, &answered.body["error"]),
            (status, &json!(error)),
            "{jwks_uri}: {}",
            answered.body
        );
        assert_eq!(answered.retry_after, status == 503, "{jwks_uri}");
    }
}

/// Removed keys count for a day at most while their address is silent; then the record tells administrators, once.
#[tokio::test]
async fn keys_older_than_a_day_are_refused_with_an_event() {
    let receiver = Receiver::start().await;
    let server = Server::start_with(receiver::reachable).await;
    let key = ClientKey::new("k", "ES256");
    receiver.answer("/jwks", Answer::json(&key.jwks()));
    register(&server, "robot", &receiver.at("/jwks")).await;
    let events = || async {
        let kinds = vec![EventKind::ClientKeysExpired];
        let filter = events::EventFilter { kinds, most: 10, ..Default::default() };
        events::list(server.app.store().read(), &filter).await.unwrap().len()
    };
    assert_eq!(assert_client(&server, "robot", &key).await.status, 200);
    receiver.answer("/jwks", Answer::status(503));
    server.advance(86_399);
    assert_eq!((assert_client(&server, "robot", &key).await.status, events().await), (200, 0));
    server.advance(1);
    for _ in 0..3 {
        let answered = assert_client(&server, "robot", &key).await;
        assert_eq!((answered.status, answered.retry_after, events().await), (503, true, 1), "{}", answered.body);
    }
    receiver.answer("/jwks", Answer::json(&key.jwks()));
    server.advance(60);
    assert_eq!((assert_client(&server, "robot", &key).await.status, events().await), (200, 1));
}

/// Encryption keys have the same last use-by.
#[tokio::test]
async fn nothing_is_encrypted_to_a_key_older_than_a_day() {
    let receiver = Receiver::start().await;
    let server = Server::start_with(receiver::reachable).await;
    server.user("alice").await;
    let key = ClientKey::for_encryption("e", "RSA-OAEP-256");
    receiver.answer("/jwks", Answer::json(&key.jwks()));
    let meta = json!({ "jwks_uri": receiver.at("/jwks"), "userinfo_encrypted_response_alg": "RSA-OAEP-256",
        "userinfo_signed_response_alg": "ES256" });
    server.client("web", meta).await;
    let browser = server.browser();
    let userinfo = || async {
        let code = browser.sign_in(&server.authorize(&[("prompt", "login")])).await["code"].clone();
        let (_, tokens) = server.redeem(&code).await;
        let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
        let response = request.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap();
        (response.status().as_u16(), response.headers().contains_key("retry-after"))
    };
    assert_eq!(userinfo().await, (200, false));
    receiver.answer("/jwks", Answer::status(503));
    server.advance(86_400);
    assert_eq!(userinfo().await, (503, true));
}
