//! TLS certificates at the gate (RFC 8705): a client that is known by one, and tokens that are bound to one, asked as a proxy
//! asks. Next door: [`super::certificate_proxies`], through the real proxies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::SanType;
use reqwest::StatusCode;
use serde_json::{Value, json};
use signet::config::RegistrationMode;
use signet::domain::ids::ClientId;
use signet::manage::{AuditContext, clients};

use super::session::{APP, alice, asked as at_app, cookie_of};
use super::signatures::apply_clients;
use super::{ORDERS, nginx as ask, put_api};
use crate::budgets::Statements;
use crate::support::Server;
use crate::support::authority::{Callers, Shown};
use crate::support::receiver::{self, Answer, Receiver};

/// A server that believes `Client-Cert` of this machine.
pub async fn with_certificates(accepts: Value) -> Server {
    with_certificates_in("Client-Cert", accepts).await
}

/// The same with another header.
pub async fn with_certificates_in(header: &str, accepts: Value) -> Server {
    let server = Server::start_with(|config| {
        config.trusted_proxies = serde_json::from_value(json!("127.0.0.1")).unwrap();
        config.client_certificate_header = Some(header.to_owned().try_into().unwrap());
    })
    .await;
    server.user("alice").await;
    put_api(&server, json!({ "accepts": accepts })).await;
    server
}

#[expect(clippy::needless_pass_by_value, reason = "reads as the document does")]
fn row(id: &str, changes: Value) -> Value {
    let mut row = json!({ "client_id": id, "token_endpoint_auth_method": "tls_client_auth",
                          "grant_types": ["client_credentials"], "scope": "read" });
    row.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    row
}

pub fn subject(id: &str, dn: &str) -> Value {
    row(id, json!({ "tls_client_auth_subject_dn": dn }))
}

pub fn its_own(id: &str, certificate: &Shown) -> Value {
    let key = json!({ "kty": "EC", "crv": "P-256", "x": "x", "y": "y", "x5c": [STANDARD.encode(&certificate.der)] });
    row(id, json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": { "keys": [key] } }))
}

/// As RFC 9440 hands it on.
pub fn handed_on(certificate: &Shown) -> String {
    format!(":{}:", STANDARD.encode(&certificate.der))
}

async fn asked(server: &Server, headers: &[(&str, &str)]) -> (u16, String, String) {
    let answer = ask(server, "GET", "/orders/1", headers).await;
    (answer.meant(), answer.reason().to_owned(), answer.header("x-gate-client").to_owned())
}

#[tokio::test]
async fn each_name_in_a_certificate_is_one_clients() {
    let server = with_certificates(json!(["mtls"])).await;
    let callers = Callers::new("Callers");
    let text = |text: &str| text.to_owned().try_into().unwrap();
    let rows = json!([
        subject("by-subject", "cn=By  Subject,o=example"),
        row("by-dns", json!({ "tls_client_auth_san_dns": "Reports.example.com" })),
        row("by-uri", json!({ "tls_client_auth_san_uri": "spiffe://example.com/reports" })),
        row("by-ip", json!({ "tls_client_auth_san_ip": "2001:db8:0::1" })),
        row("by-email", json!({ "tls_client_auth_san_email": "reports@Example.com" })),
    ]);
    apply_clients(&server, rows).await.unwrap();
    let uri = SanType::URI(text("spiffe://example.com/reports"));
    for (certificate, client) in [
        (callers.sign("by subject", vec![]), "by-subject"),
        (callers.sign("a", vec![SanType::DnsName(text("reports.example.com"))]), "by-dns"),
        (callers.sign("b", vec![SanType::DnsName(text("b.example.com")), uri.clone()]), "by-uri"),
        (callers.sign("c", vec![SanType::IpAddress("2001:db8::1".parse().unwrap())]), "by-ip"),
        (callers.sign("d", vec![SanType::Rfc822Name(text("reports@example.com"))]), "by-email"),
    ] {
        let expected = (200, String::new(), client.to_owned());
        assert_eq!(asked(&server, &[("client-cert", &handed_on(&certificate))]).await, expected, "{client}");
    }
    let refused = (401, "invalid_credential".to_owned(), String::new());
    for (certificate, why) in [
        (callers.sign("e", vec![SanType::URI(text("reports.example.com"))]), "a name of another kind"),
        (callers.sign("by subject,more", vec![]), "another subject"),
        (callers.sign("by subject", vec![uri]), "two clients'"),
    ] {
        assert_eq!(asked(&server, &[("client-cert", &handed_on(&certificate))]).await, refused, "{why}");
    }
}

#[tokio::test]
async fn what_a_client_is_registered_with_holds_at_once() {
    let server = with_certificates(json!(["mtls"])).await;
    let callers = Callers::new("Callers");
    let (old, new) = (handed_on(&callers.sign("old", vec![])), handed_on(&callers.sign("new", vec![])));
    let (passed, refused) =
        ((200, String::new(), "reports".to_owned()), (401, "invalid_credential".to_owned(), String::new()));
    apply_clients(&server, json!([subject("reports", "CN=old,O=Example")])).await.unwrap();
    assert_eq!(asked(&server, &[("client-cert", &old)]).await, passed);
    assert_eq!(asked(&server, &[("client-cert", &new)]).await, refused);
    apply_clients(&server, json!([subject("reports", "CN=new,O=Example")])).await.unwrap();
    assert_eq!(asked(&server, &[("client-cert", &old)]).await, refused);
    assert_eq!(asked(&server, &[("client-cert", &new)]).await, passed);
    // Another client of the same name makes it nobody's, and its end gives it back.
    apply_clients(&server, json!([subject("double", "CN=new,O=Example")])).await.unwrap();
    assert_eq!(asked(&server, &[("client-cert", &new)]).await, refused);
    let manager = server.app.manager();
    clients::delete(&manager, &AuditContext::command_line(), &ClientId::parse("double").unwrap()).await.unwrap();
    assert_eq!(asked(&server, &[("client-cert", &new)]).await, passed);
    clients::disable(&manager, &AuditContext::command_line(), &ClientId::parse("reports").unwrap()).await.unwrap();
    assert_eq!(asked(&server, &[("client-cert", &new)]).await, refused);
    // What the API does not take is not looked at.
    put_api(&server, json!({ "accepts": ["bearer"] })).await;
    assert_eq!(asked(&server, &[("client-cert", &new)]).await.1, "no_credential");
}

/// One that is known costs no statement, on any node; of more names than anybody has, the first ones count.
#[tokio::test]
async fn a_known_certificate_asks_the_database_nothing() {
    let server = with_certificates(json!(["mtls"])).await;
    let other = server.node().await;
    let callers = Callers::new("Callers");
    let dns = |name: String| SanType::DnsName(name.try_into().unwrap());
    let many = callers.sign("reports", (0..40).map(|at| dns(format!("n{at}.example"))).collect());
    let many = handed_on(&many);
    apply_clients(&server, json!([subject("reports", "CN=reports,O=Example")])).await.unwrap();
    let passed = (200, String::new(), "reports".to_owned());
    for node in [&server, &other] {
        assert_eq!(asked(node, &[("client-cert", &many)]).await, passed);
        let (statements, _guard) = Statements::record();
        assert_eq!(asked(node, &[("client-cert", &many)]).await, passed);
        assert_eq!(statements.take(), (vec![], vec![]));
    }
    // Another client of one of its names: both nodes hear of it.
    let late = row("late", json!({ "tls_client_auth_san_dns": "n3.example" }));
    apply_clients(&server, json!([late])).await.unwrap();
    other.app.store().authority().catch_up(other.app.store()).await.unwrap();
    for node in [&server, &other] {
        assert_eq!(asked(node, &[("client-cert", &many)]).await.0, 401, "two clients'");
    }
    let beyond = row("late", json!({ "tls_client_auth_san_dns": "n39.example" }));
    apply_clients(&server, json!([beyond])).await.unwrap();
    assert_eq!(asked(&server, &[("client-cert", &many)]).await, passed);
}

/// Who registered itself could name itself by another's certificate; and what only lies at a `jwks_uri` is in no index.
#[tokio::test]
async fn whoever_registered_itself_is_nobody_by_a_certificate() {
    let server = Server::start_with(|config| {
        receiver::reachable(config);
        config.trusted_proxies = serde_json::from_value(json!("127.0.0.1")).unwrap();
        config.client_certificate_header = Some("Client-Cert".to_owned().try_into().unwrap());
        config.registration = RegistrationMode::Open;
    })
    .await;
    put_api(&server, json!({ "accepts": ["mtls"] })).await;
    let reports = handed_on(&Callers::new("Callers").sign("reports", vec![]));
    apply_clients(&server, json!([subject("reports", "CN=reports,O=Example")])).await.unwrap();
    let asks = json!({ "token_endpoint_auth_method": "tls_client_auth", "redirect_uris": ["https://app.example/cb"],
                       "tls_client_auth_subject_dn": "CN=reports,O=Example" });
    let register = reqwest::Client::new().post(format!("{}/oauth2/register", server.url));
    assert_eq!(register.json(&asks).send().await.unwrap().status(), StatusCode::CREATED);
    assert_eq!(asked(&server, &[("client-cert", &reports)]).await, (200, String::new(), "reports".to_owned()));
    let (there, robot) = (Receiver::start().await, Shown::self_signed("robot"));
    let own = its_own("robot", &robot);
    there.answer("/keys", Answer::json(&own["jwks"]));
    let at_an_address =
        json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks_uri": there.at("/keys") });
    apply_clients(&server, json!([row("robot", at_an_address)])).await.unwrap();
    assert_eq!(asked(&server, &[("client-cert", &handed_on(&robot))]).await.0, 401);
}

/// A browser may have a certificate for another purpose, and shows it whoever makes it ask.
#[tokio::test]
async fn a_browsers_certificate_is_in_nobodys_way_and_for_no_other_site() {
    let server = with_certificates(json!([])).await;
    put_api(&server, json!({ "accepts": ["mtls", "session"], "origins": [APP] })).await;
    let callers = Callers::new("Callers");
    let (company, reports) =
        (handed_on(&callers.sign("a laptop", vec![])), handed_on(&callers.sign("reports", vec![])));
    apply_clients(&server, json!([subject("reports", "CN=reports,O=Example")])).await.unwrap();
    let cookie = cookie_of(&server, &alice(&server).await).await;
    let way = async |method: &str, headers: &[(&str, &str)]| {
        let answer = at_app(&server, method, headers).await;
        (answer.status, answer.header("x-gate-way").to_owned())
    };
    let (cookie, company) = (("cookie", cookie.as_str()), ("client-cert", company.as_str()));
    assert_eq!(way("GET", &[cookie, company]).await, (200, "session".into()));
    let page = at_app(&server, "GET", &[company, ("sec-fetch-mode", "navigate")]).await;
    assert!(page.status == 401 && page.header("x-gate-sign-in").contains("/.signet/sign-in"), "{page:?}");
    let reports = ("client-cert", reports.as_str());
    for (site, status) in [(None, 200), (Some("same-origin"), 200), (Some("none"), 200), (Some("cross-site"), 401)] {
        let mut headers = vec![reports];
        headers.extend(site.map(|site| ("sec-fetch-site", site)));
        assert_eq!(way("GET", &headers).await.0, status, "{site:?}");
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_read_is_refused_and_one_of_a_stranger_is_nothing() {
    let server = with_certificates(json!(["mtls"])).await;
    let reports = handed_on(&Callers::new("Callers").sign("reports", vec![]));
    apply_clients(&server, json!([subject("reports", "CN=reports,O=Example")])).await.unwrap();
    let malformed = (400, "malformed_credential".to_owned(), String::new());
    for value in [":?:", "-----BEGIN%20CERTIFICATE-----", reports.get(..40).unwrap(), "%ff"] {
        assert_eq!(asked(&server, &[("client-cert", value)]).await, malformed, "{value}");
    }
    let twice = [("client-cert", reports.as_str()), ("client-cert", reports.as_str())];
    assert_eq!(asked(&server, &twice).await, malformed);
    // Bytes that are no certificate are handed on by no proxy, and are nobody's.
    assert_eq!(asked(&server, &[("client-cert", ":AAAA:")]).await.0, 401);
    for nothing in ["", "::"] {
        assert_eq!(asked(&server, &[("client-cert", nothing)]).await.1, "no_credential", "{nothing}");
    }
    // Without the setting the header is one like any other.
    let plain = super::with_gate(json!({ "accepts": ["mtls"] })).await;
    apply_clients(&plain, json!([subject("reports", "CN=reports,O=Example")])).await.unwrap();
    assert_eq!(asked(&plain, &[("client-cert", &reports)]).await.1, "no_credential");
}

/// RFC 8705 §3: at the token endpoint, the gate, UserInfo and introspection; §4: the refresh token of a public client.
#[tokio::test]
async fn a_bound_token_is_nothing_without_its_certificate() {
    let server = with_certificates(json!(["bearer"])).await;
    let callers = Callers::new("Callers");
    let (reports, other) = (handed_on(&callers.sign("reports", vec![])), handed_on(&callers.sign("other", vec![])));
    for format in ["jwt", "opaque"] {
        let row = row(
            "reports",
            json!({
                "tls_client_auth_subject_dn": "CN=reports,O=Example",
                "tls_client_certificate_bound_access_tokens": true, "access_token_format": format,
            }),
        );
        apply_clients(&server, json!([row])).await.unwrap();
        let form = [("grant_type", "client_credentials"), ("client_id", "reports"), ("resource", ORDERS)];
        let ask = async |certificate: Option<&str>| {
            let mut request = reqwest::Client::new().post(format!("{}/oauth2/token", server.url)).form(&form);
            if let Some(certificate) = certificate {
                request = request.header("client-cert", certificate);
            }
            let response = request.send().await.unwrap();
            (response.status(), response.json::<Value>().await.unwrap())
        };
        for wrong in [None, Some(other.as_str())] {
            let (status, problem) = ask(wrong).await;
            assert_eq!((status, &problem["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")), "{wrong:?}");
        }
        let (status, tokens) = ask(Some(&reports)).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        let token = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
        let with = async |certificate: Option<&str>| {
            let mut headers = vec![("authorization", token.as_str())];
            headers.extend(certificate.map(|certificate| ("client-cert", certificate)));
            asked(&server, &headers).await
        };
        // Twice: what the gate has seen before is no better.
        for _ in 0..2 {
            assert_eq!(with(Some(&reports)).await, (200, String::new(), "reports".to_owned()), "{format}");
            let refused = (401, "invalid_credential".to_owned(), String::new());
            assert_eq!(with(None).await, refused, "{format}");
            assert_eq!(with(Some(&other)).await, refused, "{format}");
        }
        let form = [("client_id", "reports"), ("token", tokens["access_token"].as_str().unwrap())];
        let introspect = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url));
        let told = introspect.header("client-cert", &reports).form(&form).send().await.unwrap();
        let told: Value = told.json().await.unwrap();
        assert_eq!(told["cnf"]["x5t#S256"].as_str().map(str::len), Some(43), "{format}: {told}");
    }
}
