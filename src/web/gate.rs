//! `/gate/verify/{gate}`: a proxy asks whether a request may pass (CONTRACT, "The gate"). Parses the question, asks
//! [`crate::gate`], and answers in what the proxy understands: identity in headers, or the refusal as a problem (RFC
//! 9457). Only proxies named in the settings may ask; no answer says more to anybody else than that. Every answer is counted
//! (`gate::tally`), and what was refused is found again by its request id.
//!
//! Outside of `limits` on purpose: a question carries the original's headers beside its own, and any `Host`.

use std::net::IpAddr;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::extract::{RequestId, caller, client_certificate, forwarded_caller, peer};
use super::urls::GATE;
use crate::app::App;
use crate::domain::api::Api;
use crate::domain::gate::Way;
use crate::domain::ids::ClientId;
use crate::gate::fields::Fields;
use crate::gate::limits::Allowance;
use crate::gate::original::{Original, Proxy};
use crate::gate::verdict::{Identity, Reason, Refusal, Verdict};
use crate::gate::{Asked, Judged, tally};
use crate::store::gate_record::Refused;

/// Header fields of a question, names and values.
const MOST_HEADER_BYTES: usize = 64 * 1024;

/// What an API is told of who asks. Each stands in every answer that lets somebody in, empty where there is nothing to
/// say: what the caller had sent by that name is gone, whether the proxy clears it or overwrites it.
const IDENTITY: [&str; 9] = [
    "x-gate-subject",
    "x-gate-client",
    "x-gate-scope",
    "x-gate-way",
    "x-gate-token",
    "remote-user",
    "remote-groups",
    "remote-email",
    "remote-name",
];

/// With Envoy the original target stands behind the gate's own address: as it was sent, not as a router decodes it. A
/// fragment is taken off by hyper, unseen; Envoy refuses a request with one before it asks (CVE-2021-32779).
pub async fn verify(State(app): State<App>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let target = parts.uri.path_and_query().map(PathAndQuery::as_str).unwrap_or_default();
    // One slash: behind two, the first word of a caller's path would be taken for the gate's name.
    let named = target.strip_prefix(GATE).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    let end = named.find(['/', '?']).unwrap_or(named.len());
    let (gate, behind) = named.split_at(end);
    answer(&app, gate, Some(behind).filter(|behind| !behind.is_empty()), &parts).await
}

async fn answer(app: &App, gate: &str, behind: Option<&str>, parts: &Parts) -> Response {
    let headers = &parts.headers;
    let trusted = &app.config.trusted_proxies;
    let from_proxy = peer(&parts.extensions).is_some_and(|peer| trusted.contains(peer));
    let certificate = client_certificate(headers, from_proxy, &app.config);
    let mut fields = Fields(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect());
    // HTTP/2 has the host in `:authority` (RFC 9113 §8.3.1).
    if let Some(authority) = parts.uri.authority().filter(|_| !headers.contains_key(header::HOST)) {
        fields.0.push(("host", authority.as_str().as_bytes()));
    }
    let asked = Asked {
        gate,
        method: parts.method.as_str(),
        behind,
        fields: &fields,
        certificate: certificate.as_ref().ok().and_then(Option::as_ref),
        caller: forwarded_caller(parts, trusted),
    };
    let address = caller(parts, trusted);
    let question = Question { app, id: request_id(parts), asked, address };
    if !from_proxy {
        let text = "Only proxies named in the settings may ask.";
        return question.refuse(&Refusal::new(Reason::UntrustedProxy, text), None).await;
    }
    if header_bytes(headers) > MOST_HEADER_BYTES {
        return question.refuse(&Refusal::new(Reason::TooLarge, "The headers are too long."), None).await;
    }
    if let Err(text) = &certificate {
        return question.refuse(&Refusal::new(Reason::MalformedCredential, *text), None).await;
    }
    match app.gate.judge(asked).await {
        Ok(Judged { verdict: Verdict::Pass(who), api, allowance }) => {
            let mut answer = let_in(app, question.id, gate, api.as_ref(), who.as_deref());
            let way = who.map_or("anonymous", |who| who.way.as_str());
            let (way, reason) = if answer.status().is_success() { (way, "") } else { ("", tally::UNAVAILABLE) };
            app.gate.tally.count(app.env().now(), gate, way, reason);
            limited(answer.headers_mut(), allowance);
            answer
        }
        Ok(Judged { verdict: Verdict::Refuse(refusal), allowance, .. }) => question.refuse(&refusal, allowance).await,
        Err(error) => {
            tracing::error!(
                cause = error.cause.as_deref().unwrap_or_default(),
                gate,
                "the gate cannot decide, and lets nobody in"
            );
            app.gate.tally.count(app.env().now(), question.known_gate().await, "", tally::UNAVAILABLE);
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

fn request_id(parts: &Parts) -> &str {
    parts.extensions.get::<RequestId>().map(|id| id.0.as_str()).unwrap_or_default()
}

/// A question that is to be answered, and recorded.
struct Question<'a> {
    app: &'a App,
    id: &'a str,
    asked: Asked<'a>,
    /// For the record: the proxy's own where it does not say whose.
    address: Option<IpAddr>,
}

impl Question<'_> {
    /// The gate's name where there is one of it: nobody fills the record with names of their own.
    async fn known_gate(&self) -> &str {
        let store = self.app.store();
        let apis = store.authority().apis(store).await;
        let is_named = |api: &Api| api.gate.as_ref().is_some_and(|gate| gate.as_str() == self.asked.gate);
        if apis.is_ok_and(|apis| apis.iter().any(is_named)) { self.asked.gate } else { tally::NO_GATE }
    }

    async fn refuse(&self, refusal: &Refusal, allowance: Option<Allowance>) -> Response {
        let (method, path) = Original::as_sent(&self.asked);
        let way = refusal.tried.map(Way::as_str).unwrap_or_default();
        let who = refusal.who.as_deref();
        let refused = Refused {
            request_id: self.id.to_owned(),
            at: self.app.env().now(),
            gate: self.known_gate().await.to_owned(),
            method,
            path,
            way: way.to_owned(),
            reason: refusal.reason.as_str().to_owned(),
            subject: who.map(|who| who.subject.clone()).unwrap_or_default(),
            client: who.and_then(|who| who.client.as_ref()).map(ToString::to_string).unwrap_or_default(),
            address: self.address.map(|address| address.to_string()).unwrap_or_default(),
        };
        self.app.gate.tally.refuse(way, refusal.reason, refused);
        let mut response = refuse(self.id, self.asked.gate, Proxy::of(self.asked.fields), refusal);
        limited(response.headers_mut(), allowance);
        response
    }
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

fn let_in(app: &App, id: &str, gate: &str, api: Option<&Api>, who: Option<&Identity>) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    for name in IDENTITY {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(""));
    }
    let Some(who) = who else {
        set(headers, "x-gate-way", "anonymous");
        tracing::debug!(gate, way = "anonymous", "let in");
        return response;
    };
    set(headers, "x-gate-subject", &who.subject);
    set(headers, "x-gate-client", who.client.as_ref().map(ClientId::as_str).unwrap_or_default());
    set(headers, "x-gate-scope", &who.scopes.to_string());
    set(headers, "x-gate-way", who.way.as_str());
    if let Some(person) = &who.person {
        set(headers, "remote-user", person.username.as_str());
        set(headers, "remote-groups", &person.groups.join(","));
        set(headers, "remote-email", person.email.as_deref().unwrap_or_default());
        set(headers, "remote-name", person.name.as_deref().unwrap_or_default());
    }
    if let Some(api) = api.filter(|api| api.upstream_token) {
        match app.gate.upstream_token(api, who) {
            Ok(token) => set(headers, "x-gate-token", &token),
            Err(error) => {
                tracing::error!(
                    cause = error.cause.as_deref().unwrap_or_default(),
                    gate,
                    "no token can be made for the API, and nobody is let in"
                );
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
        }
    }
    tracing::debug!(request_id = id, gate, way = who.way.as_str(), subject = %who.subject, "let in");
    response
}

/// draft-ietf-httpapi-ratelimit-headers: the policy by its name, and what is left of it.
fn limited(headers: &mut HeaderMap, allowance: Option<Allowance>) {
    let Some(Allowance { quota: (burst, window), remaining, reset, retry_after }) = allowance else { return };
    set(headers, "ratelimit-policy", &format!("\"gate\";q={burst};w={window}"));
    set(headers, "ratelimit", &format!("\"gate\";r={remaining};t={reset}"));
    if let Some(seconds) = retry_after {
        set(headers, "retry-after", &seconds.to_string());
    }
}

/// UTF-8, without what would end the line.
fn set(headers: &mut HeaderMap, name: &'static str, text: &str) {
    let kept: String = text.chars().filter(|c| !c.is_control()).collect();
    if let Ok(value) = HeaderValue::from_bytes(kept.as_bytes()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

fn refuse(id: &str, gate: &str, proxy: Option<Proxy>, refusal: &Refusal) -> Response {
    let (status, reason) = (refusal.reason.status(), refusal.reason.as_str());
    tracing::info!(gate, reason, status, "refused");
    let body = json!({
        "type": "about:blank",
        "title": StatusCode::from_u16(status).ok().and_then(|it| it.canonical_reason()).unwrap_or_default(),
        "status": status,
        "detail": refusal.text,
        "reason": reason,
        "request_id": id,
    });
    if let Some(to) = refusal.sign_in.as_deref().filter(|_| proxy != Some(Proxy::Nginx)) {
        let mut response = (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
        set(response.headers_mut(), "x-gate-reason", reason);
        return response;
    }
    // nginx makes a 500 of what it does not know.
    let spoken = if proxy == Some(Proxy::Nginx) && status != 401 { 403 } else { status };
    let code = StatusCode::from_u16(spoken).unwrap_or(StatusCode::FORBIDDEN);
    let mut response = (code, Json(body)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    set(response.headers_mut(), "x-gate-reason", reason);
    if spoken != status {
        set(response.headers_mut(), "x-gate-status", &status.to_string());
    }
    if proxy == Some(Proxy::Nginx) {
        // nginx throws the body away, and writes this between quotation marks.
        let text = refusal.text.chars().filter(|c| c.is_ascii() && !matches!(c, '"' | '\\'));
        set(response.headers_mut(), "x-gate-detail", &text.collect::<String>());
    }
    if let Some(to) = &refusal.sign_in {
        set(response.headers_mut(), "x-gate-sign-in", to);
    }
    if let Some(seconds) = refusal.retry_after {
        set(response.headers_mut(), "retry-after", &seconds.to_string());
    }
    if let Some(challenge) = &refusal.challenge {
        set(response.headers_mut(), "www-authenticate", challenge);
    }
    response
}
