//! Malformed, repeated, oversized, non-UTF-8, mistyped and misdirected requests at every route: each a 4xx in the form of
//! whoever asks there, one warning in the log, and the server unharmed.
//!
//! A route that is added to the router is added to [`ROUTES`]. [`connections`]: what is no HTTP, or does not come.

mod connections;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::{Method, Response};
use tracing::Level;

use super::{http, open_server};
use crate::support::{Server, log};

/// Who asks there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Face {
    Program,
    Person,
}

pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) methods: &'static [&'static str],
    face: Face,
    /// Whether a GET's query is looked at.
    query: bool,
}

const ID: &str = "0190b0a0-0000-7000-8000-000000000000";

macro_rules! routes {
    ($($face:ident $methods:expr, $path:literal $(, $query:ident)?;)+) => {
        pub(super) const ROUTES: &[Route] = &[$(Route {
            path: $path,
            methods: $methods,
            face: Face::$face,
            query: routes!(@query $($query)?),
        },)+];
    };
    (@query query) => { true };
    (@query) => { false };
}

routes! {
    Program &["POST"], "/oauth2/token";
    Program &["POST"], "/oauth2/introspect";
    Program &["POST"], "/oauth2/revoke";
    Program &["POST"], "/oauth2/device_authorization";
    Program &["POST"], "/oauth2/register";
    Program &["GET", "PUT", "DELETE"], "/oauth2/register/web";
    Program &["GET", "POST"], "/oauth2/userinfo", query;
    Program &["GET"], "/.well-known/openid-configuration";
    Program &["GET"], "/.well-known/oauth-authorization-server";
    Program &["GET"], "/.well-known/jwks.json";
    Program &["GET"], "/.well-known/oauth-protected-resource", query;
    Program &["GET"], "/.well-known/oauth-protected-resource/api";
    Program &["GET"], "/device/qr", query;
    Program &["GET"], "/logo/web";
    Program &["GET"], "/livez";
    Program &["GET"], "/readyz";
    Program &["GET"], "/static/signet.css";
    Program &["GET"], "/favicon.ico";
    Program &["GET"], "/.well-known/change-password";
    Program &["GET"], "/.well-known/passkey-endpoints";
    Program &["GET"], "/.well-known/security.txt";
    Person &["GET"], "/";
    Person &["GET", "POST"], "/oauth2/authorize", query;
    Person &["GET"], "/oauth2/authorize/0190b0a0-0000-7000-8000-000000000000";
    Person &["GET", "POST"], "/login", query;
    Person &["GET", "POST"], "/login/0190b0a0-0000-7000-8000-000000000000";
    Person &["POST"], "/login/passkey/finish";
    Person &["GET", "POST"], "/consent/0190b0a0-0000-7000-8000-000000000000";
    Person &["GET", "POST"], "/select-account/0190b0a0-0000-7000-8000-000000000000";
    Person &["GET", "POST"], "/device", query;
    Person &["GET", "POST"], "/device/0190b0a0-0000-7000-8000-000000000000";
    Person &["GET", "POST"], "/oauth2/logout", query;
    Person &["GET"], "/oauth2/check_session";
    Person &["GET", "POST"], "/setup", query;
    Person &["GET", "POST"], "/signup", query;
    Person &["GET", "POST"], "/signup/0190b0a0-0000-7000-8000-000000000000";
}

fn has(route: &Route, method: &str) -> bool {
    route.methods.contains(&method)
}

/// A 4xx in the form of `face`, told to the log once and as a warning.
async fn check_refusal(response: Response, face: Face, case: &str) {
    let status = response.status().as_u16();
    assert!((400..500).contains(&status), "{case}: {status}");
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    let body = response.text().await.unwrap();
    match face {
        Face::Program => {
            assert!(kind.starts_with("application/json"), "{case}: {kind}");
            let error: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert!(error["error"].is_string() && error["error_description"].is_string(), "{case}: {error}");
        }
        Face::Person => {
            assert!(kind.starts_with("text/html"), "{case}: {kind}");
            assert!(body.contains("data-page=\"error\"") && body.contains(&id), "{case}: {body}");
        }
    }
    let levels = log::levels(&id);
    assert_eq!(levels.iter().filter(|level| **level == Level::WARN).count(), 1, "{case}: {levels:?}");
    assert!(!levels.contains(&Level::ERROR), "{case}: {levels:?}");
}

/// A sign-out does without what is repeated (OpenID Connect RP-Initiated Logout §4).
fn passes_over(route: &Route, what: &str) -> bool {
    route.path == "/oauth2/logout" && (what.contains("repeated") || what.starts_with("token=x"))
}

fn url(server: &Server, route: &Route) -> String {
    format!("{}{}", server.url, route.path)
}

/// A method that a path does not have (405 says which it has), at every route.
#[tokio::test]
async fn a_wrong_method_is_refused_at_every_route() {
    let server = open_server().await;
    for route in ROUTES {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"] {
            if has(route, method) {
                continue;
            }
            let case = format!("{method} {}", route.path);
            let request = http().request(Method::from_bytes(method.as_bytes()).unwrap(), url(&server, route));
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 405, "{case}");
            let allow = response.headers()["allow"].to_str().unwrap().to_owned();
            assert!(route.methods.iter().all(|method| allow.contains(*method)), "{case}: {allow}");
            check_refusal(response, route.face, &case).await;
        }
    }
}

/// Bodies that are no form, or one that nobody would send, at every route that takes one.
#[tokio::test]
async fn a_bad_body_is_refused_at_every_route() {
    let server = open_server().await;
    let form = "application/x-www-form-urlencoded";
    let many = (0..201).map(|at| format!("a{at}=b")).collect::<Vec<_>>().join("&");
    let bodies: [(&str, &str, Vec<u8>); 12] = [
        ("over 64 KiB", form, vec![b'a'; 64 * 1024 + 1]),
        ("far over 64 KiB", form, vec![b'a'; 1024 * 1024]),
        ("bytes that are no UTF-8", form, b"client_id=\xff\xfe".to_vec()),
        ("encoded bytes that are no UTF-8", form, b"client_id=%ff%fe".to_vec()),
        ("a NUL", form, b"client_id=a%00b".to_vec()),
        ("a repeated parameter", form, b"client_id=a&client_id=a".to_vec()),
        ("a repeated unknown parameter", form, b"what=a&what=b".to_vec()),
        ("201 parameters", form, many.into_bytes()),
        ("JSON", "application/json", br#"{"client_id":"web"}"#.to_vec()),
        ("text", "text/plain", b"client_id=web".to_vec()),
        ("no type", "", b"client_id=web".to_vec()),
        ("a multipart form", "multipart/form-data; boundary=x", b"--x\r\n\r\n--x--".to_vec()),
    ];
    for route in ROUTES.iter().filter(|route| has(route, "POST")) {
        for (what, kind, body) in &bodies {
            let case = format!("{what} to {}", route.path);
            let request = http().post(url(&server, route)).header("content-type", *kind).body(body.clone());
            let response = request.send().await.unwrap();
            if passes_over(route, what) {
                assert_eq!(response.status(), 200, "{case}");
            } else {
                check_refusal(response, route.face, &case).await;
            }
        }
        // 64 KiB itself is read.
        let whole = format!("client_id={}", "a".repeat(64 * 1024 - 10));
        let response = http().post(url(&server, route)).header("content-type", form).body(whole).send().await.unwrap();
        if route.path == "/oauth2/logout" {
            assert_eq!(response.status(), 200, "an app that is none is dropped");
            continue;
        }
        check_refusal(response, route.face, route.path).await;
    }
}

/// Queries that nobody would send, at every route that looks at one; everywhere else they change nothing.
#[tokio::test]
async fn a_bad_query_is_refused_at_every_route() {
    let server = open_server().await;
    let many = (0..201).map(|at| format!("a{at}=b")).collect::<Vec<_>>().join("&");
    for route in ROUTES.iter().filter(|route| has(route, "GET")) {
        for query in [
            "client_id=%ff%fe",
            "client_id=a%00b",
            &many,
            "token=x&token=y&next=a&next=b&client_id=a&client_id=b&user_code=a&user_code=b&resource=a&resource=b",
        ] {
            let case = format!("{}?{query}", route.path);
            let response = http().get(format!("{}?{query}", url(&server, route))).send().await.unwrap();
            if route.query && !["/login", "/signup"].contains(&route.path) && !passes_over(route, query) {
                check_refusal(response, route.face, &case).await;
            } else {
                assert!(response.status().as_u16() < 500, "{case}");
            }
        }
    }
    for path in [
        "/login/%ff",
        "/consent/%ff%fe",
        "/signup/%ff",
        "/select-account/..%2f",
        "/oauth2/authorize/%00",
        "/login/x",
        "/consent/1",
    ] {
        let response = http().get(format!("{}{path}", server.url)).send().await.unwrap();
        check_refusal(response, Face::Person, path).await;
    }
    for path in ["/static/%ff", "/static/..%2fCargo.toml", "/static/%2fetc%2fpasswd", "/static/..%5c..%5cCargo.toml"] {
        let response = http().get(format!("{}{path}", server.url)).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
    }
}

/// A header block over 48 KiB (HTTP/2: 30 KiB), in one field, in many, or in the address, or of more than 100 fields, at every route, by
/// HTTP/1.1 and HTTP/2; no cookie is replaced by the refusal. Far over it the connection's own limit answers, before anything of ours is asked.
#[tokio::test]
async fn an_oversized_header_block_is_refused_at_every_route() {
    let server = open_server().await;
    let two = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    for route in ROUTES {
        let method = Method::from_bytes(route.methods[0].as_bytes()).unwrap();
        for (client, over, under) in [(&http(), 49_200, 47_000), (&two, 31_000, 29_000)] {
            let ask = || client.request(method.clone(), url(&server, route));
            let many = (0..60).fold(ask(), |request, at| request.header(format!("x-{at}"), "a".repeat(over / 60)));
            let address = client.request(method.clone(), format!("{}?a={}", url(&server, route), "a".repeat(over)));
            let fields = (0..101).fold(ask(), |request, _| request.header("x-a", ""));
            let one = ask().header("x-a", "a".repeat(over));
            for (what, request) in [("one", one), ("many", many), ("address", address), ("fields", fields)] {
                let case = format!("{what} at {}", route.path);
                let response = request.send().await.unwrap();
                assert_eq!(response.status(), 431, "{case}");
                assert!(!response.headers().contains_key("set-cookie"), "{case}");
                check_refusal(response, route.face, &case).await;
            }
            assert!(ask().header("x-a", "a".repeat(under)).send().await.unwrap().status() != 431, "{}", route.path);
        }
        let far = http().request(method, url(&server, route)).header("x-a", "a".repeat(90_000)).send().await;
        assert!(far.is_err() || far.is_ok_and(|response| response.status() == 431), "{}", route.path);
    }
}

/// Credentials that are malformed, repeated, or in two places.
#[tokio::test]
async fn bad_credentials_are_refused_in_the_protocols_form() {
    let server = open_server().await;
    for endpoint in ["token", "introspect", "revoke", "device_authorization", "userinfo"] {
        for header in [
            "",
            "Basic",
            "Basic !",
            "Basic d2Vi",
            "Bearer",
            "Bearer  ",
            "Negotiate x",
            "basic  :",
            "Basic //8=",
            "Bearer \u{e9}",
        ] {
            let request = http().post(format!("{}/oauth2/{endpoint}", server.url));
            let value = reqwest::header::HeaderValue::from_bytes(header.as_bytes()).unwrap();
            let form = [("token", "x"), ("grant_type", "client_credentials")];
            let response = request.header("authorization", value).form(&form).send().await.unwrap();
            check_refusal(response, Face::Program, &format!("{header:?} at {endpoint}")).await;
        }
        let twice = http().post(format!("{}/oauth2/{endpoint}", server.url));
        let twice = twice.header("authorization", "Basic d2ViOng=").header("authorization", "Basic d2ViOng=");
        check_refusal(twice.form(&[("token", "x")]).send().await.unwrap(), Face::Program, endpoint).await;
        let both =
            http().post(format!("{}/oauth2/{endpoint}", server.url)).basic_auth("web", Some(crate::support::SECRET));
        let form =
            [("client_id", "web"), ("client_secret", crate::support::SECRET), ("access_token", "x"), ("token", "x")];
        check_refusal(both.form(&form).send().await.unwrap(), Face::Program, endpoint).await;
    }
}

/// Random bytes as query, body and credentials, at every route: never a 5xx.
#[test]
fn random_bytes_get_no_server_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(open_server());
    let config = Config { cases: 24, max_shrink_iters: 50, failure_persistence: None, ..Config::default() };
    let names =
        prop_oneof!["[a-z_]{1,12}", Just("client_id".to_owned()), Just("token".to_owned()), Just("csrf".to_owned())];
    let pairs = proptest::collection::vec((names, proptest::collection::vec(any::<u8>(), 0..40)), 0..6);
    let raw = proptest::collection::vec(any::<u8>(), 0..200);
    let outcome = TestRunner::new(config).run(&(pairs, raw), |(pairs, raw)| {
        let encoded = pairs
            .iter()
            .map(|(name, value)| format!("{name}={}", url::form_urlencoded::byte_serialize(value).collect::<String>()))
            .collect::<Vec<_>>()
            .join("&");
        let path: String = url::form_urlencoded::byte_serialize(&raw).collect::<String>().replace('+', "%20");
        runtime.block_on(async {
            let client = http();
            for route in ROUTES {
                for method in route.methods {
                    let method = Method::from_bytes(method.as_bytes()).unwrap();
                    for body in [encoded.clone().into_bytes(), raw.clone()] {
                        let url = format!("{}?{encoded}", url(&server, route));
                        let request = client.request(method.clone(), url).body(body).basic_auth("web", Some(&encoded));
                        let request = request.header("content-type", "application/x-www-form-urlencoded");
                        let response = request.send().await.unwrap();
                        assert!(response.status().as_u16() < 500, "{} {}", response.status(), route.path);
                    }
                }
                if route.path.contains(ID) {
                    let url = url(&server, route).replace(ID, &path);
                    assert!(client.get(url).send().await.unwrap().status().as_u16() < 500, "{}", route.path);
                }
            }
        });
        Ok(())
    });
    outcome.unwrap();
}
