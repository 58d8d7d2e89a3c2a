//! `/gate/verify/{gate}`: a proxy asks whether a request may pass (docs/gate.md). Parses the question, asks
//! [`crate::gate`], and answers in what the proxy understands. Only proxies named in the settings may ask; no answer says
//! more to anybody else than that. Every answer is counted (`gate::tally`), and what was refused is found again by its
//! request id.
//!
//! Outside of `limits` on purpose: a question carries the original's headers beside its own, and any `Host`. Next door:
//! [`answers`], how they are written; [`sign_in`], the pages that browsers are sent to.

mod answers;
pub mod sign_in;

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::extract::{RequestId, caller, client_certificate, forwarded_caller, from_proxy};
use super::urls::GATE;
use crate::app::App;
use crate::domain::api::Api;
use crate::domain::gate::Way;
use crate::gate::fields::Fields;
use crate::gate::limits::Allowance;
use crate::gate::original::{Original, Proxy};
use crate::gate::verdict::{Reason, Refusal, Verdict};
use crate::gate::{Asked, Judged, named, tally};
use crate::keys::certificate::ClientCertificate;
use crate::store::gate_record::Refused;

/// Header fields of a question, names and values.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// For an answer, all that it asks of the database included. A proxy waits longer (nginx: 60 seconds).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// With Envoy the original target stands behind the gate's own address: as it was sent, not as a router decodes it. A
/// fragment is taken off by hyper, unseen; Envoy refuses a request with one before it asks (CVE-2021-32779).
pub async fn verify(State(app): State<App>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let target = parts.uri.path_and_query().map(PathAndQuery::as_str).unwrap_or_default();
    // One slash: behind two, the first word of a caller's path would be taken for the gate's name.
    let named = target.strip_prefix(GATE).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    let end = named.find(['/', '?']).unwrap_or(named.len());
    let (gate, behind) = named.split_at(end);
    let answer = answer(&app, gate, Some(behind).filter(|behind| !behind.is_empty()), &parts);
    tokio::time::timeout(ANSWER_TIMEOUT, answer)
        .await
        .unwrap_or_else(|_| undecided(&app, gate, tally::NO_GATE, "no answer in time"))
}

/// Lets nobody in. `web::layers` adds `Retry-After`.
fn undecided(app: &App, gate: &str, known: &str, cause: &str) -> Response {
    tracing::error!(cause, gate, "the gate cannot decide, and lets nobody in");
    app.gate.tally.count(app.env().now(), known, "", tally::UNAVAILABLE);
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

async fn answer(app: &App, gate: &str, behind: Option<&str>, parts: &Parts) -> Response {
    let trusted = &app.config.trusted_proxies;
    let certificate = client_certificate(parts, &app.config);
    let (fields, apis) = (fields(parts), app.store().authority().apis(app.store()).await);
    let api = apis.as_ref().map(|apis| named(apis, gate));
    let asked = Asked {
        gate,
        method: parts.method.as_str(),
        behind,
        fields: &fields,
        certificate: certificate.as_ref().ok().and_then(Option::as_ref),
        caller: forwarded_caller(parts, trusted),
    };
    // Nobody fills the record with names of their own.
    let known = if matches!(api, Ok(Some(_))) { gate } else { tally::NO_GATE };
    let question = Question { app, id: request_id(parts), asked, known, address: caller(parts, trusted) };
    if let Some(refusal) = unread(from_proxy(parts, trusted), &parts.headers, &certificate) {
        return question.refuse(&refusal, None);
    }
    match api {
        Ok(Some(api)) => question.answer(api).await,
        Ok(None) => question.refuse(&Refusal::new(Reason::UnknownGate, "There is no gate of that name."), None),
        Err(error) => question.undecided(&error.to_string()),
    }
}

/// Why a question is refused before it is read.
fn unread(
    from_proxy: bool,
    headers: &HeaderMap,
    certificate: &Result<Option<ClientCertificate>, &'static str>,
) -> Option<Refusal> {
    if !from_proxy {
        return Some(Refusal::new(Reason::UntrustedProxy, "Only proxies named in the settings may ask."));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > MAX_HEADER_BYTES {
        return Some(Refusal::new(Reason::TooLarge, "The headers are too long."));
    }
    certificate.as_ref().err().map(|text| Refusal::new(Reason::MalformedCredential, *text))
}

fn fields(parts: &Parts) -> Fields<'_> {
    let headers = &parts.headers;
    let mut fields: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    // HTTP/2 has the host in `:authority` (RFC 9113 §8.3.1).
    if let Some(authority) = parts.uri.authority().filter(|_| !headers.contains_key(header::HOST)) {
        fields.push(("host", authority.as_str().as_bytes()));
    }
    Fields(fields)
}

fn request_id(parts: &Parts) -> &str {
    parts.extensions.get::<RequestId>().map(|id| id.0.as_str()).unwrap_or_default()
}

/// A question that is to be answered, and recorded.
struct Question<'a> {
    app: &'a App,
    id: &'a str,
    asked: Asked<'a>,
    /// The gate's name where there is one of it.
    known: &'a str,
    /// For the record: the proxy's own where it does not say whose.
    address: Option<IpAddr>,
}

impl Question<'_> {
    async fn answer(&self, api: &Api) -> Response {
        let gate = &self.app.gate;
        match gate.judge(api, self.asked).await {
            Ok(Judged { verdict: Verdict::Pass(who), allowance }) => {
                let mut answer = answers::let_in(self.app, self.id, self.known, api, who.as_deref());
                let way = who.map_or("anonymous", |who| who.way.as_str());
                let (way, reason) = if answer.status().is_success() { (way, "") } else { ("", tally::UNAVAILABLE) };
                gate.tally.count(self.app.env().now(), self.known, way, reason);
                answers::limited(answer.headers_mut(), allowance);
                answer
            }
            Ok(Judged { verdict: Verdict::Refuse(refusal), allowance }) => self.refuse(&refusal, allowance),
            Err(error) => self.undecided(error.cause.as_deref().unwrap_or_default()),
        }
    }

    fn undecided(&self, cause: &str) -> Response {
        undecided(self.app, self.asked.gate, self.known, cause)
    }

    fn refuse(&self, refusal: &Refusal, allowance: Option<Allowance>) -> Response {
        let (method, path) = Original::as_sent(&self.asked);
        let way = refusal.tried.map(Way::as_str).unwrap_or_default();
        let who = refusal.who.as_deref();
        let refused = Refused {
            request_id: self.id.to_owned(),
            at: self.app.env().now(),
            gate: self.known.to_owned(),
            method,
            path,
            way: way.to_owned(),
            reason: refusal.reason.as_str().to_owned(),
            subject: who.map(|who| who.subject.clone()).unwrap_or_default(),
            client: who.and_then(|who| who.client.as_ref()).map(ToString::to_string).unwrap_or_default(),
            address: self.address.map(|address| address.to_string()).unwrap_or_default(),
        };
        self.app.gate.tally.refuse(way, refusal.reason, refused);
        let mut response = answers::refuse(self.id, self.asked.gate, Proxy::of(self.asked.fields), refusal);
        answers::limited(response.headers_mut(), allowance);
        response
    }
}
