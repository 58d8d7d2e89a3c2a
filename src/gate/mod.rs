//! The gate before other people's APIs (docs/gate.md): what a request presented → who it is → may it pass.
//! A proxy asks about a request; nothing of the request itself comes by here.
//!
//! In order: [`original`] which request it is about, from what the proxy says; [`path`] how its path is read; [`rules`]
//! the rule that decides; [`presented`] the credential it came with, unjudged ([`oauth1`] how one of them reads);
//! [`credential`] whose that is, [`session`] how a browser gets its own and [`app_address`] by which way; [`guesses`] how
//! often they may be wrong; [`limits`] how often they may ask; [`verdict`] what is answered; [`upstream`] the token that the
//! API gets instead; [`tally`] the record of it all. Next door: `web::gate`, which is asked
//! and answers; `domain::gate`, the settings of an API.

pub mod app_address;
mod challenge;
mod credential;
pub mod fields;
pub mod guesses;
pub mod limits;
pub mod oauth1;
pub mod original;
pub mod path;
pub mod presented;
pub mod rules;
pub mod session;
pub mod tally;
pub mod upstream;
pub mod verdict;

use std::net::IpAddr;

use crate::domain::api::Api;
use crate::domain::gate::Rule;
use crate::domain::scope::Scopes;
use crate::keys::certificate::ClientCertificate;
use crate::keys::signature_key::SignatureKeys;
use crate::protocol::Provider;
use crate::protocol::error::Result;

use credential::Unproven;
use fields::Fields;
use guesses::Guesses;
use limits::{Allowance, Caller, Limits};
use original::Original;
use presented::Presented;
use tally::Tally;
use verdict::{Identity, Reason, Refusal, Verdict};

/// What the gate decides with; cheap to clone.
#[derive(Clone)]
pub struct Gate {
    pub provider: Provider,
    pub signature_keys: SignatureKeys,
    pub limits: Limits,
    pub guesses: Guesses,
    pub tally: Tally,
}

/// A proxy's question.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The last part of `/gate/verify/{gate}`.
    pub gate: &'a str,
    /// The method of the question itself, which with Envoy is the original's.
    pub method: &'a str,
    /// What stands behind the gate's own address, the query included; Envoy appends the original target.
    pub behind: Option<&'a str>,
    pub fields: &'a Fields<'a>,
    /// Of the TLS connection on which it came, where the proxy hands that on.
    pub certificate: Option<&'a ClientCertificate>,
    /// From where the original request came; nothing where the proxy does not say.
    pub caller: Option<IpAddr>,
}

/// What is decided about a request.
#[derive(Debug)]
pub struct Judged {
    pub verdict: Verdict,
    /// What is left to the caller, where the API has a limit.
    pub allowance: Option<Allowance>,
}

/// The API behind the gate of that name.
#[must_use]
pub fn named<'a>(apis: &'a [Api], gate: &str) -> Option<&'a Api> {
    apis.iter().find(|api| api.gate.as_ref().is_some_and(|name| name.as_str() == gate))
}

impl Gate {
    /// # Errors
    /// Where something has to be looked up and the database does not answer: nobody is let in.
    pub async fn judge(&self, api: &Api, asked: Asked<'_>) -> Result<Judged> {
        self.provider.in_touch().await?;
        let mut allowance = None;
        let verdict = match self.decide(api, &asked, &mut allowance).await? {
            Ok(verdict) => verdict,
            Err(refusal) => {
                let sign_in = app_address::sign_in_address(api, &asked, &refusal);
                Verdict::Refuse(Refusal { sign_in, ..refusal.for_api(api) })
            }
        };
        Ok(Judged { verdict, allowance })
    }

    async fn decide(
        &self,
        api: &Api,
        asked: &Asked<'_>,
        allowance: &mut Option<Allowance>,
    ) -> Result<std::result::Result<Verdict, Refusal>> {
        let original = match Original::read(asked) {
            Ok(original) => original,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let rule = rules::first(&api.rules, &original.method, &original.path);
        let anonymous = rule.is_some_and(|rule| rule.allow.is_some());
        let presented = match Presented::read(asked.fields) {
            Ok(presented) => presented,
            // Of two, an API could believe the other one.
            Err(refusal) if anonymous && refusal.reason == Reason::MalformedCredential => Presented::Nothing,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let tried = presented.way();
        let (identity, failed) = match self.know(api, asked, &original, presented).await? {
            Ok(identity) => (Some(identity), None),
            // A credential that nobody asked for is no reason to refuse; it is not believed either.
            Err(_) if anonymous => (None, None),
            Err(Unproven::Nothing) => {
                return Ok(Err(Refusal::new(Reason::NoCredential, "Say who you are.")));
            }
            Err(Unproven::Unavailable(error)) => return Err(error),
            Err(Unproven::Refused(refusal)) => (None, Some(Refusal { tried: tried.or(refusal.tried), ..refusal })),
        };
        let tried = tried.or(identity.as_ref().map(|who| who.way));
        *allowance = self.allow(api, asked, identity.as_ref()).await?;
        if allowance.is_some_and(|allowance| allowance.retry_after.is_some()) {
            let text = "That is more than this API allows; come back later.";
            let refusal = Refusal::new(Reason::TooManyRequests, text).of(identity);
            return Ok(Err(Refusal { tried, ..refusal }));
        }
        if let Some(refusal) = failed {
            return Ok(Err(refusal));
        }
        Ok(match (rule, identity) {
            (None, who) => Err(Refusal::new(Reason::NoRule, "No rule of this API allows that.").of(who)),
            (Some(_), None) => Ok(Verdict::Pass(None)),
            (Some(rule), Some(who)) => match may(rule, &who) {
                Ok(()) => Ok(Verdict::Pass(Some(Box::new(who)))),
                Err(refusal) => Err(refusal.of(Some(who))),
            },
        }
        .map_err(|refusal| Refusal { tried, ..refusal }))
    }

    /// Counts the request: to its owner where it has one, however many credentials they have; to its address otherwise,
    /// where that is known.
    /// Authenticated callers have their own bucket; anonymous requests from the same address cannot exhaust it.
    async fn allow(&self, api: &Api, asked: &Asked<'_>, who: Option<&Identity>) -> Result<Option<Allowance>> {
        let caller = match (who, asked.caller) {
            (Some(Identity { user: Some(user), .. }), _) => Caller::User(*user),
            (Some(who), _) => Caller::Client(&who.subject),
            (None, Some(address)) => Caller::Address(address),
            (None, None) => return Ok(None),
        };
        self.count(api, caller).await
    }
}

/// Whether somebody who is known may do what the rule is for.
fn may(rule: &Rule, who: &Identity) -> std::result::Result<(), Refusal> {
    let missing: Vec<&String> = rule.scopes.iter().filter(|scope| !who.scopes.contains(scope)).collect();
    if !missing.is_empty() {
        let needed: Scopes = rule.scopes.iter().map(String::as_str).collect();
        return Err(Refusal::new(Reason::InsufficientScope, "That needs more than you were given.").needing(needed));
    }
    let groups = who.groups();
    if !rule.groups.is_empty() && !rule.groups.iter().any(|group| groups.contains(group)) {
        return Err(Refusal::new(Reason::MissingGroup, "That is for people of other groups."));
    }
    match rule.acr {
        Some(acr) if who.acr.is_none_or(|reached| reached < acr) => {
            let text = "That needs a stronger sign-in.";
            Err(Refusal::new(Reason::InsufficientAuthentication, text).at_least(acr))
        }
        _ => Ok(()),
    }
}
