//! `/gate/verify/{gate}`: a proxy asks whether a request may pass (docs/gate.md). Parses the question, asks
//! [`crate::gate`], and answers in what the proxy understands. Only proxies named in the settings may ask; no answer says
//! more to anybody else than that. Every answer is counted (`gate::tally`), and what was refused is found again by its
//! request id.
//!
//! Outside of `limits` on purpose: a question carries the original's headers beside its own, and any `Host`. Next door:
//! [`answers`], how they are written; [`sign_in`], the pages that browsers are sent to.

mod response;
pub mod sign_in;

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::extract::{RequestId, caller, client_certificate, forwarded_client_address, from_proxy};
use super::urls::GATE;
use crate::app::AppState;
use crate::domain::api::Api;
use crate::domain::gate::CredentialKind;
use crate::gate::decision::{Decision, Denial, Reason};
use crate::gate::forwarded_request::{ForwardedRequest, ProxyKind};
use crate::gate::headers::Headers;
use crate::gate::rate_limits::RateLimitStatus;
use crate::gate::{GateDecision, GateRequest, metrics, named};
use crate::keys::certificate::ClientCertificate;
use crate::store::gate_record::DeniedRequest;

/// Header fields of a question, names and values.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// For an answer, all that it asks of the database included. A proxy waits longer (nginx: 60 seconds).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// With Envoy the original target stands behind the gate's own address: as it was sent, not as a router decodes it. A
/// fragment is taken off by hyper, unseen; Envoy refuses a request with one before it asks (CVE-2021-32779).
pub async fn verify(State(app): State<AppState>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let target = parts.uri.path_and_query().map(PathAndQuery::as_str).unwrap_or_default();
    // One slash: behind two, the first word of a caller's path would be taken for the gate's name.
    let named = target.strip_prefix(GATE).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    let end = named.find(['/', '?']).unwrap_or(named.len());
    let (gate, behind) = named.split_at(end);
    let answer = verify_request(&app, gate, Some(behind).filter(|behind| !behind.is_empty()), &parts);
    tokio::time::timeout(ANSWER_TIMEOUT, answer)
        .await
        .unwrap_or_else(|_| undecided(&app, gate, metrics::NO_GATE, "no answer in time"))
}

/// Lets nobody in. `web::layers` adds `Retry-After`.
fn undecided(app: &AppState, gate: &str, known: &str, cause: &str) -> Response {
    tracing::error!(cause, gate, "the gate cannot decide, and lets nobody in");
    app.gate.metrics.count(app.env().now(), known, "", metrics::UNAVAILABLE);
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

async fn verify_request(app: &AppState, gate: &str, behind: Option<&str>, parts: &Parts) -> Response {
    let trusted = &app.config.trusted_proxies;
    let certificate = client_certificate(parts, &app.config);
    let (fields, apis) = (fields(parts), app.store().authority().apis(app.store()).await);
    let api = apis.as_ref().map(|apis| named(apis, gate));
    let asked = GateRequest {
        gate,
        method: parts.method.as_str(),
        behind,
        fields: &fields,
        certificate: certificate.as_ref().ok().and_then(Option::as_ref),
        caller: forwarded_client_address(parts, trusted),
    };
    // Nobody fills the record with names of their own.
    let known = if matches!(api, Ok(Some(_))) { gate } else { metrics::NO_GATE };
    let question =
        VerifyRequest { app, id: request_id(parts), asked, recorded_gate: known, address: caller(parts, trusted) };
    if let Some(refusal) = unread(from_proxy(parts, trusted), &parts.headers, &certificate) {
        return question.deny(&refusal, None);
    }
    match api {
        Ok(Some(api)) => question.decide(api).await,
        Ok(None) => question.deny(&Denial::new(Reason::UnknownGate, "There is no gate of that name."), None),
        Err(error) => question.undecided(&error.to_string()),
    }
}

/// Why a question is refused before it is read.
fn unread(
    from_proxy: bool,
    headers: &HeaderMap,
    certificate: &Result<Option<ClientCertificate>, &'static str>,
) -> Option<Denial> {
    if !from_proxy {
        return Some(Denial::new(Reason::UntrustedProxy, "Only proxies named in the settings may ask."));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > MAX_HEADER_BYTES {
        return Some(Denial::new(Reason::TooLarge, "The headers are too long."));
    }
    certificate.as_ref().err().map(|text| Denial::new(Reason::MalformedCredential, *text))
}

fn fields(parts: &Parts) -> Headers<'_> {
    let headers = &parts.headers;
    let mut fields: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    // HTTP/2 has the host in `:authority` (RFC 9113 §8.3.1).
    if let Some(authority) = parts.uri.authority().filter(|_| !headers.contains_key(header::HOST)) {
        fields.push(("host", authority.as_str().as_bytes()));
    }
    Headers(fields)
}

fn request_id(parts: &Parts) -> &str {
    parts.extensions.get::<RequestId>().map(|id| id.0.as_str()).unwrap_or_default()
}

/// A question that is to be answered, and recorded.
struct VerifyRequest<'a> {
    app: &'a AppState,
    id: &'a str,
    asked: GateRequest<'a>,
    /// The gate's name where there is one of it.
    recorded_gate: &'a str,
    /// For the record: the proxy's own where it does not say whose.
    address: Option<IpAddr>,
}

impl VerifyRequest<'_> {
    async fn decide(&self, api: &Api) -> Response {
        let gate = &self.app.gate;
        match gate.judge(api, self.asked).await {
            Ok(GateDecision { decision: Decision::Pass(who), allowance }) => {
                let mut answer = response::allow(self.app, self.id, self.recorded_gate, api, who.as_deref());
                let way = who.map_or("anonymous", |who| who.credential_kind.as_str());
                let (way, reason) = if answer.status().is_success() { (way, "") } else { ("", metrics::UNAVAILABLE) };
                gate.metrics.count(self.app.env().now(), self.recorded_gate, way, reason);
                response::limited(answer.headers_mut(), allowance);
                answer
            }
            Ok(GateDecision { decision: Decision::Deny(refusal), allowance }) => self.deny(&refusal, allowance),
            Err(error) => self.undecided(error.cause.as_deref().unwrap_or_default()),
        }
    }

    fn undecided(&self, cause: &str) -> Response {
        undecided(self.app, self.asked.gate, self.recorded_gate, cause)
    }

    fn deny(&self, refusal: &Denial, allowance: Option<RateLimitStatus>) -> Response {
        let (method, path) = ForwardedRequest::raw_method_and_path(&self.asked);
        let way = refusal.tried.map(CredentialKind::as_str).unwrap_or_default();
        let who = refusal.identity.as_deref();
        let refused = DeniedRequest {
            request_id: self.id.to_owned(),
            at: self.app.env().now(),
            gate: self.recorded_gate.to_owned(),
            method,
            path,
            credential_kind: way.to_owned(),
            reason: refusal.reason.as_str().to_owned(),
            subject: who.map(|who| who.subject.clone()).unwrap_or_default(),
            client: who.and_then(|who| who.client.as_ref()).map(ToString::to_string).unwrap_or_default(),
            address: self.address.map(|address| address.to_string()).unwrap_or_default(),
        };
        self.app.gate.metrics.record_denial(way, refusal.reason, refused);
        let mut response = response::deny(self.id, self.asked.gate, ProxyKind::of(self.asked.fields), refusal);
        response::limited(response.headers_mut(), allowance);
        response
    }
}
