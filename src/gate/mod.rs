//! The gate in front of protected APIs (docs/gate.md): it reads the presented credential, authenticates it and
//! authorizes the request. The proxy forwards the header fields of a request; the request itself does not pass through
//! the gate.
//!
//! In order: [`forwarded_request`] reads which request the proxy describes; [`path`] decodes its path; [`rules`] finds
//! the rule that applies; [`credentials`] reads the credential without verifying it ([`oauth1`] parses one kind);
//! [`authenticate`] verifies it; [`session`] issues the cookie of a browser, over the URLs in [`app_urls`];
//! [`brute_force`] limits wrong credentials; [`rate_limits`] limits requests; [`decision`] is the result; [`upstream`]
//! issues the token that the API gets instead; [`metrics`] counts decisions. See also `web::gate`, the HTTP endpoints;
//! `domain::gate`, the settings of an API.

pub mod app_urls;
mod authenticate;
pub mod brute_force;
mod challenge;
pub mod credentials;
pub mod decision;
pub mod forwarded_request;
pub mod headers;
pub mod metrics;
pub mod oauth1;
pub mod path;
pub mod rate_limits;
pub mod rules;
pub mod session;
pub mod upstream;

use std::net::IpAddr;

use crate::domain::api::Api;
use crate::domain::gate::Rule;
use crate::domain::scope::Scopes;
use crate::keys::certificate::ClientCertificate;
use crate::keys::signature_key::SignatureKeyCache;
use crate::protocol::Provider;
use crate::protocol::error::Result;

use authenticate::AuthenticationError;
use brute_force::BruteForceLimits;
use credentials::PresentedCredential;
use decision::{Decision, Denial, Identity, Reason};
use forwarded_request::ForwardedRequest;
use headers::Headers;
use metrics::Metrics;
use rate_limits::{Caller, RateLimitStatus, RateLimits};

/// The state that decisions need; cheap to clone.
#[derive(Clone)]
pub struct Gate {
    pub provider: Provider,
    pub signature_keys: SignatureKeyCache,
    pub limits: RateLimits,
    pub brute_force: BruteForceLimits,
    pub metrics: Metrics,
}

/// A request from a proxy for a decision.
#[derive(Clone, Copy, Debug)]
pub struct GateRequest<'a> {
    /// The last part of `/gate/verify/{gate}`.
    pub gate: &'a str,
    /// The method of the proxy's request, which with Envoy is that of the original request.
    pub method: &'a str,
    /// The rest of the target after the gate's own path, with the query; Envoy appends the original target.
    pub behind: Option<&'a str>,
    pub fields: &'a Headers<'a>,
    /// The client certificate of the original TLS connection, if the proxy forwards it.
    pub certificate: Option<&'a ClientCertificate>,
    /// The client address of the original request; `None` if the proxy does not report it.
    pub caller: Option<IpAddr>,
}

/// The decision about a request.
#[derive(Debug)]
pub struct GateDecision {
    pub decision: Decision,
    /// The caller's remaining quota, if the API has a limit.
    pub allowance: Option<RateLimitStatus>,
}

/// Returns the API with that gate name.
#[must_use]
pub fn named<'a>(apis: &'a [Api], gate: &str) -> Option<&'a Api> {
    apis.iter().find(|api| api.gate.as_ref().is_some_and(|name| name.as_str() == gate))
}

impl Gate {
    /// Decides about a request.
    ///
    /// # Errors
    /// Returns an error if the database is needed and does not respond; the request is then not allowed.
    pub async fn judge(&self, api: &Api, asked: GateRequest<'_>) -> Result<GateDecision> {
        self.provider.check_revocations_fresh().await?;
        let mut allowance = None;
        let decision = match self.decide(api, &asked, &mut allowance).await? {
            Ok(decision) => decision,
            Err(refusal) => {
                let sign_in = app_urls::sign_in_url(api, &asked, &refusal);
                Decision::Deny(Denial { sign_in, ..refusal.for_api(api) })
            }
        };
        Ok(GateDecision { decision, allowance })
    }

    async fn decide(
        &self,
        api: &Api,
        asked: &GateRequest<'_>,
        allowance: &mut Option<RateLimitStatus>,
    ) -> Result<std::result::Result<Decision, Denial>> {
        let forwarded_request = match ForwardedRequest::read(asked) {
            Ok(forwarded_request) => forwarded_request,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let rule = rules::first(&api.rules, &forwarded_request.method, &forwarded_request.path);
        let anonymous = rule.is_some_and(|rule| rule.allow.is_some());
        let credentials = match PresentedCredential::read(asked.fields) {
            Ok(credentials) => credentials,
            // If there are two credentials, the API could use either one, so neither counts.
            Err(refusal) if anonymous && refusal.reason == Reason::MalformedCredential => PresentedCredential::Nothing,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let tried = credentials.kind();
        let (identity, failed) = match self.authenticate(api, asked, &forwarded_request, credentials).await? {
            Ok(identity) => (Some(identity), None),
            // The rule requires no credential, so an invalid one is ignored and is no reason to deny the request.
            Err(_) if anonymous => (None, None),
            Err(AuthenticationError::Nothing) => {
                return Ok(Err(Denial::new(Reason::NoCredential, "Say who you are.")));
            }
            Err(AuthenticationError::Unavailable(error)) => return Err(error),
            Err(AuthenticationError::Denied(refusal)) => {
                (None, Some(Denial { tried: tried.or(refusal.tried), ..refusal }))
            }
        };
        let tried = tried.or(identity.as_ref().map(|who| who.credential_kind));
        *allowance = self.allow(api, asked, identity.as_ref()).await?;
        if allowance.is_some_and(|allowance| allowance.retry_after.is_some()) {
            let text = "That is more than this API allows; come back later.";
            let refusal = Denial::new(Reason::TooManyRequests, text).of(identity);
            return Ok(Err(Denial { tried, ..refusal }));
        }
        if let Some(refusal) = failed {
            return Ok(Err(refusal));
        }
        Ok(match (rule, identity) {
            (None, who) => Err(Denial::new(Reason::NoRule, "No rule of this API allows that.").of(who)),
            (Some(_), None) => Ok(Decision::Pass(None)),
            (Some(rule), Some(who)) => match check_rule(rule, &who) {
                Ok(()) => Ok(Decision::Pass(Some(Box::new(who)))),
                Err(refusal) => Err(refusal.of(Some(who))),
            },
        }
        .map_err(|refusal| Denial { tried, ..refusal }))
    }

    /// Counts the request against its caller: the owner of the credential, however many credentials they have, or else
    /// the client address, if known. Authenticated callers have their own bucket; anonymous requests from the same
    /// address cannot exhaust it.
    async fn allow(
        &self,
        api: &Api,
        asked: &GateRequest<'_>,
        who: Option<&Identity>,
    ) -> Result<Option<RateLimitStatus>> {
        let caller = match (who, asked.caller) {
            (Some(Identity { user: Some(user), .. }), _) => Caller::User(*user),
            (Some(who), _) => Caller::Client(&who.subject),
            (None, Some(address)) => Caller::Address(address),
            (None, None) => return Ok(None),
        };
        self.count(api, caller).await
    }
}

/// Returns a denial if the rule does not allow an authenticated caller.
fn check_rule(rule: &Rule, who: &Identity) -> std::result::Result<(), Denial> {
    let missing: Vec<&String> = rule.scopes.iter().filter(|scope| !who.scopes.contains(scope)).collect();
    if !missing.is_empty() {
        let needed: Scopes = rule.scopes.iter().map(String::as_str).collect();
        return Err(
            Denial::new(Reason::InsufficientScope, "That needs more than you were given.").with_required_scopes(needed)
        );
    }
    let groups = who.groups();
    if !rule.groups.is_empty() && !rule.groups.iter().any(|group| groups.contains(group)) {
        return Err(Denial::new(Reason::MissingGroup, "That is for people of other groups."));
    }
    match rule.acr {
        Some(acr) if who.acr.is_none_or(|reached| reached < acr) => {
            let text = "That needs a stronger sign-in.";
            Err(Denial::new(Reason::InsufficientAuthentication, text).with_required_acr(acr))
        }
        _ => Ok(()),
    }
}
