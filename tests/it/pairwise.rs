//! Pairwise clients (OpenID Connect Core §8.1): what two of them, of different sectors, get of one user and one session
//! has nothing in common by which they could compare users; and what names a session or grant pairwise still works.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use signet::domain::api::Api;
use signet::domain::ids::ClientId;
use signet::manage::{AuditContext, apis, clients};

use crate::support::receiver::{Answer, Receiver, reachable};
use crate::support::{Browser, Page, SECRET, Server, VERIFIER};
use crate::token::claims;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const ORDERS: &str = "https://orders.example.com";

/// What is the same for everybody, or says when and how and not who. docs/security.md has the same list.
const ALLOWED: [&str; 19] = [
    ORDERS,
    "acr",
    "active",
    "alg",
    "amr",
    "aud",
    "auth_time",
    "exp",
    "expires_in",
    "http://schemas.openid.net/event/backchannel-logout",
    "iat",
    "interval",
    "iss",
    "issued_token_type",
    "kid",
    "scope",
    "token_type",
    "typ",
    "verification_uri",
];

/// Every name and value that one client was shown.
#[derive(Default)]
struct Seen(Vec<(String, String)>);

impl Seen {
    fn value(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| self.value(name, value)),
            Value::Array(items) => items.iter().for_each(|item| self.value(name, item)),
            Value::String(text) => self.text(name, text),
            Value::Null => {}
            other => self.0.push((name.to_owned(), other.to_string())),
        }
    }

    /// A text, and what it says where it is a JWT.
    fn text(&mut self, name: &str, text: &str) {
        self.0.push((name.to_owned(), text.to_owned()));
        for part in text.split('.').take(2).filter(|_| text.matches('.').count() == 2) {
            let said = URL_SAFE_NO_PAD.decode(part).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            self.value(name, &said.unwrap_or(Value::Null));
        }
    }

    fn address(&mut self, address: &str) {
        for (name, value) in url::Url::parse(address).unwrap().query_pairs() {
            self.text(&name, &value);
        }
    }

    fn revealing(&self) -> BTreeSet<&str> {
        self.0.iter().filter(|(name, _)| !ALLOWED.contains(&name.as_str())).map(|(_, value)| value.as_str()).collect()
    }
}

fn callback(client: &str) -> String {
    format!("https://{client}.example/cb")
}

fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("{name} in {answer}")).to_owned()
}

/// A pairwise client of a sector of its own.
async fn pairwise(server: &Server, receiver: &Receiver, id: &str, trades: &[&str]) {
    let policies: Vec<Value> = trades.iter().map(|of| json!({ "client": of, "delegation": true })).collect();
    let meta = json!({
        "redirect_uris": [callback(id)],
        "post_logout_redirect_uris": [],
        "subject_type": "pairwise",
        "consent": "trusted",
        "scope": "openid offline_access read",
        "response_types": ["code", "code id_token token"],
        "grant_types": ["authorization_code", "implicit", "refresh_token", "client_credentials", DEVICE, EXCHANGE],
        "backchannel_logout_uri": receiver.at(&format!("/{id}")),
        "frontchannel_logout_uri": format!("https://{id}.example/out"),
        "token_exchange": policies,
    });
    server.client(id, meta).await;
}

/// Clients `a` and `b`, services that trade their tokens, and services that trade those.
async fn with_sectors() -> (Server, Receiver) {
    let receiver = Receiver::start().await;
    let server = Server::start_with(reachable).await;
    server.user("alice").await;
    let api: Api = serde_json::from_value(json!({ "identifier": ORDERS, "scopes": ["read"] })).unwrap();
    apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
    for (id, trades) in [("a", vec![]), ("b", vec![]), ("a1", vec!["a"]), ("b1", vec!["b"])] {
        pairwise(&server, &receiver, id, &trades).await;
        receiver.answer(&format!("/{id}"), Answer::status(200));
    }
    for (id, trades) in [("a2", ["a1"]), ("b2", ["b1"])] {
        pairwise(&server, &receiver, id, &trades).await;
    }
    (server, receiver)
}

async fn authorized(server: &Server, browser: &Browser, client: &str, response_type: &str) -> Value {
    let (callback, own) = (callback(client), format!("of {client}"));
    let path = server.authorize(&[
        ("client_id", client),
        ("redirect_uri", &callback),
        ("response_type", response_type),
        ("scope", "openid offline_access read"),
        ("state", &own),
        ("nonce", &own),
    ]);
    serde_json::to_value(browser.sign_in(&path).await).unwrap()
}

async fn redeemed(server: &Server, client: &str, code: &str) -> Value {
    let callback = callback(client);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", callback.as_str()),
        ("code_verifier", VERIFIER),
    ];
    let (status, answer) = server.token_as(client, &form).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn introspected(server: &Server, client: &str, token: &str) -> Value {
    let request = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url));
    let request = request.basic_auth(client, Some(SECRET)).form(&[("token", token)]);
    request.send().await.unwrap().json().await.unwrap()
}

async fn traded(server: &Server, client: &str, token: &str, actor: Option<&str>) -> Value {
    let mut form = vec![("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", ACCESS)];
    form.extend(actor.into_iter().flat_map(|actor| [("actor_token", actor), ("actor_token_type", ACCESS)]));
    let (status, answer) = server.token_as(client, &form).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// The tokens of a device that alice allows in `browser`.
async fn device(server: &Server, browser: &Browser, client: &str, seen: &mut Seen) -> Value {
    let request = reqwest::Client::new().post(format!("{}/oauth2/device_authorization", server.url));
    let request = request.basic_auth(client, Some(SECRET)).form(&[("scope", "openid read")]);
    let asked: Value = request.send().await.unwrap().json().await.unwrap();
    seen.value("", &asked);
    let page = browser.page("/device").await;
    let question = browser.submit(&page, &[("user_code", &text(&asked, "user_code"))]).await.expect("a page");
    browser.submit(&question, &[("decision", "allow")]).await.expect("a page");
    let code = text(&asked, "device_code");
    server.token_as(client, &[("grant_type", DEVICE), ("device_code", &code)]).await.1
}

/// Everything that `client`, the services behind it and their tokens get of alice's session in `browser`.
async fn everything(server: &Server, browser: &Browser, client: &str) -> Seen {
    let mut seen = Seen::default();
    for response_type in ["code", "code id_token token"] {
        let answer = authorized(server, browser, client, response_type).await;
        seen.value("", &answer);
        let tokens = redeemed(server, client, &text(&answer, "code")).await;
        seen.value("", &tokens);
        let form = [("grant_type", "refresh_token"), ("refresh_token", &text(&tokens, "refresh_token"))];
        let refreshed = server.token_as(client, &form).await.1;
        seen.value("", &refreshed);
        for name in ["access_token", "refresh_token"] {
            seen.value("", &introspected(server, client, &text(&refreshed, name)).await);
        }
        let userinfo = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
        let userinfo = userinfo.bearer_auth(text(&refreshed, "access_token")).send().await.unwrap();
        seen.value("", &userinfo.json::<Value>().await.unwrap());
        let (service, next) = (format!("{client}1"), format!("{client}2"));
        let first = traded(server, &service, &text(&refreshed, "access_token"), None).await;
        seen.value("", &first);
        seen.value("", &introspected(server, &service, &text(&first, "access_token")).await);
        seen.value("", &traded(server, &next, &text(&first, "access_token"), None).await);
    }
    let tokens = device(server, browser, client, &mut seen).await;
    seen.value("", &tokens);
    seen
}

/// T57: `sid` was equal for two pairwise clients.
#[tokio::test]
async fn two_sectors_share_nothing_that_links_a_user() {
    let (server, receiver) = with_sectors().await;
    let browser = server.browser();
    let (mut a, mut b) = (everything(&server, &browser, "a").await, everything(&server, &browser, "b").await);
    let page = browser.page("/oauth2/logout").await;
    let signed_out = browser.submit(&page, &[("decision", "allow")]).await.ok().unwrap();
    server.deliver().await;
    for (client, seen) in [("a", &mut a), ("b", &mut b)] {
        seen.address(&frame(&signed_out, client));
        let told = receiver.requests(&format!("/{client}"));
        assert_eq!(told.len(), 1);
        seen.text("logout_token", &told[0].form()["logout_token"]);
    }
    for name in ["sub", "sid", "grant", "jti", "session_state", "logout_token", "chain", "refresh_token"] {
        let has = |seen: &Seen| seen.0.iter().any(|(known, _)| known == name);
        assert!(has(&a) && has(&b), "{name} is compared");
    }
    let (a, b) = (a.revealing(), b.revealing());
    assert_eq!(a.intersection(&b).collect::<Vec<_>>(), Vec::<&&str>::new());
}

fn frame(page: &Page, client: &str) -> String {
    let html = scraper::Html::parse_document(&page.html);
    let frames = scraper::Selector::parse("iframe").unwrap();
    let addresses = html.select(&frames).filter_map(|frame| frame.attr("src"));
    let found = addresses.into_iter().find(|address| address.starts_with(&format!("https://{client}.example/")));
    found.unwrap_or_else(|| panic!("{client} in {}", page.html)).to_owned()
}

#[tokio::test]
async fn a_pairwise_sid_names_one_session_everywhere() {
    let (server, receiver) = with_sectors().await;
    let browser = server.browser();
    let code = text(&authorized(&server, &browser, "a", "code").await, "code");
    let tokens = redeemed(&server, "a", &code).await;
    let hint = text(&tokens, "id_token");
    let sid = claims(&hint)["sid"].clone();
    assert_eq!(claims(&text(&tokens, "access_token"))["sid"], sid);
    // The hint is of the very session, so nobody is asked.
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("id_token_hint", &hint).finish();
    let page = browser.page(&format!("/oauth2/logout?{query}")).await;
    assert_eq!(page.name(), "signed-out");
    let framed = frame(&page, "a");
    let framed = url::Url::parse(&framed).unwrap();
    let framed = framed.query_pairs().find(|(name, _)| name == "sid").unwrap().1.into_owned();
    server.deliver().await;
    let told = receiver.requests("/a")[0].form()["logout_token"].clone();
    assert_eq!((json!(framed), &claims(&told)["sid"]), (sid.clone(), &sid));
}

#[tokio::test]
async fn the_end_of_a_grant_reaches_pairwise_chains() {
    let (server, _receiver) = with_sectors().await;
    let browser = server.browser();
    let code = text(&authorized(&server, &browser, "a", "code").await, "code");
    let tokens = redeemed(&server, "a", &code).await;
    let first = text(&traded(&server, "a1", &text(&tokens, "access_token"), None).await, "access_token");
    let second = text(&traded(&server, "a2", &first, None).await, "access_token");
    let held = [("a", text(&tokens, "access_token")), ("a1", first), ("a2", second)];
    for (client, token) in &held {
        assert_eq!(introspected(&server, client, token).await["active"], true, "{client}");
    }
    // A code that is presented twice ends its grant.
    let callback = callback("a");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", &callback),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(server.token_as("a", &form).await.0, 400);
    for (client, token) in &held {
        assert_eq!(introspected(&server, client, token).await["active"], false, "{client}");
    }
}

/// RFC 8693 §4.1: an actor who is a user is named as each client knows that user.
#[tokio::test]
async fn an_acting_user_is_named_per_sector() {
    let (server, _receiver) = with_sectors().await;
    let browser = server.browser();
    let of = |client: &'static str| {
        let (server, browser) = (&server, &browser);
        async move {
            let code = text(&authorized(server, browser, client, "code").await, "code");
            text(&redeemed(server, client, &code).await, "access_token")
        }
    };
    let (subject, actor) = (of("a").await, of("a1").await);
    let first = text(&traded(&server, "a1", &subject, Some(&actor)).await, "access_token");
    let second = text(&traded(&server, "a2", &first, None).await, "access_token");
    let (first, second) = (claims(&first), claims(&second));
    assert_eq!(first["act"]["sub"], claims(&actor)["sub"]);
    assert_eq!(second["act"]["sub"], "a2");
    assert_eq!(second["act"]["act"]["sub"], second["sub"], "alice, as a2 knows her");
    assert_ne!(second["act"]["act"]["sub"], first["act"]["sub"]);
}

#[tokio::test]
async fn tokens_end_when_their_client_changes_its_sector() {
    let (server, _receiver) = with_sectors().await;
    let code = text(&authorized(&server, &server.browser(), "a", "code").await, "code");
    let token = text(&redeemed(&server, "a", &code).await, "access_token");
    let id = ClientId::parse("a").unwrap();
    let mut client = signet::store::clients::by_id(server.app.store().read(), &id).await.unwrap().unwrap();
    client.meta.subject_type = signet::domain::client_metadata::SubjectType::Public;
    clients::update(&server.app.manager(), &AuditContext::command_line(), &id, client.meta).await.unwrap();
    assert_eq!(introspected(&server, "a", &token).await, json!({ "active": false }));
}
