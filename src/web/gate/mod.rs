//! `/gate/verify/{gate}`: a proxy asks whether a request may pass (docs/gate.md). The handler parses the proxy's
//! request, calls [`crate::gate`] and answers in the format that the proxy understands. Only trusted proxies may ask,
//! and other callers learn nothing more. All decisions are counted (`gate::metrics`), and a denial can be looked up
//! by its request id.
//!
//! The limits of `web::limits` do not apply on purpose: the request carries the headers of the original request in
//! addition to its own, and any `Host`. See also [`response`], which builds the responses, and [`sign_in`], the pages
//! that browsers are sent to.

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

/// The maximum size of the header fields, names and values.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// The timeout of a decision, including its database queries. Proxies wait longer (nginx: 60 seconds).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Decides on the request that a proxy asks about.
///
/// With Envoy, the original target follows the gate's path. It is taken as it was sent, not as the router decodes it.
/// hyper removes a fragment without notice, and Envoy rejects a request with a fragment before it asks
/// (CVE-2021-32779).
pub async fn verify(State(app): State<AppState>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let target = parts.uri.path_and_query().map(PathAndQuery::as_str).unwrap_or_default();
    // Exactly one slash: with two, the first segment of the caller's path would be read as the gate's name.
    let named = target.strip_prefix(GATE).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    let end = named.find(['/', '?']).unwrap_or(named.len());
    let (gate, behind) = named.split_at(end);
    let answer = verify_request(&app, gate, Some(behind).filter(|behind| !behind.is_empty()), &parts);
    tokio::time::timeout(ANSWER_TIMEOUT, answer)
        .await
        .unwrap_or_else(|_| undecided(&app, gate, metrics::NO_GATE, "no answer in time"))
}

/// Returns 503, which denies access. `web::layers` adds `Retry-After`.
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
    // Unknown names are not recorded, so that callers cannot fill the metrics with invented names.
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

/// Returns the denial for a request that is rejected before its content is read.
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
    // In HTTP/2 the host is in `:authority` (RFC 9113 §8.3.1).
    if let Some(authority) = parts.uri.authority().filter(|_| !headers.contains_key(header::HOST)) {
        fields.push(("host", authority.as_str().as_bytes()));
    }
    Headers(fields)
}

fn request_id(parts: &Parts) -> &str {
    parts.extensions.get::<RequestId>().map(|id| id.0.as_str()).unwrap_or_default()
}

/// A proxy's request with the values to record.
struct VerifyRequest<'a> {
    app: &'a AppState,
    id: &'a str,
    asked: GateRequest<'a>,
    /// The name of the gate, or [`metrics::NO_GATE`] if the gate does not exist.
    recorded_gate: &'a str,
    /// The address to record: the proxy's own if it does not name the client.
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
