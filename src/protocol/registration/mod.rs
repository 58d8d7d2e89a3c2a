//! Dynamic client registration (OpenID Connect Dynamic Client Registration, RFC 7591) and its management (RFC 7592):
//! turns the metadata that a client sends into metadata that satisfies the rules and the policy.
//!
//! [`read`] parses the request, [`policy`] and [`redirects`] limit what clients may register without an administrator,
//! [`statement`] reads software statements, and [`response`] builds the response, including defaults.
//!
//! See also: `manage::clients`, which stores clients; `domain::client_metadata`, the members and their rules.

pub mod policy;
pub mod read;
pub mod redirects;
pub mod response;
mod statement;

pub use policy::Policy;

use serde_json::{Map, Value};

use super::Provider;
use super::error::{ErrorCode, OAuthError, Result};
use crate::domain::api::Api;
use crate::domain::client::{Client, RegistrationKind};
use crate::domain::client_metadata::{ClientMetadata, MemberError};
use crate::domain::ids::ClientId;
use crate::domain::scope::Scopes;
use crate::domain::secret::SecretKind;
use crate::outbound::{Purpose, UrlSource};
use std::sync::Arc;

pub(super) fn wrong(field: &str, problem: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, format!("{field}: {problem}"))
}

/// Returns the error for a violated rule, with the code of RFC 7591 §3.2.2 for its member.
pub fn broken(rule: &MemberError) -> OAuthError {
    let code =
        if rule.field == "redirect_uris" { ErrorCode::InvalidRedirectUri } else { ErrorCode::InvalidClientMetadata };
    OAuthError::new(code, format!("{}: {}.", rule.field, rule.message))
}

/// A validated registration request.
#[derive(Debug)]
pub struct RegistrationRequest {
    pub meta: ClientMetadata,
    /// The requested scopes that may be registered; `None` if the request has no `scope`.
    pub scopes: Option<Scopes>,
    /// The software statement as received: it is returned unchanged (RFC 7591 §3.2.1).
    pub statement: Option<Value>,
}

impl Provider {
    /// Validates the metadata in a registration request (RFC 7591 §3.1) and applies `policy`. `had` is the current
    /// metadata of the client, if it is registered.
    pub async fn read_registration(
        &self,
        policy: &Policy,
        body: &[u8],
        had: Option<&ClientMetadata>,
    ) -> Result<RegistrationRequest> {
        let mut said = read::members(body)?;
        let statement = said.remove("software_statement");
        if let Some(statement) = &statement {
            let claims = self.read_statement(policy, statement).await?;
            // RFC 7591 §2.3: claims of the statement take precedence over the members of the request.
            said.extend(claims);
        }
        if said.get("scope").and_then(Value::as_str).is_some_and(|scope| scope.bytes().all(|byte| byte == b' ')) {
            said.remove("scope");
        }
        let apis = self.store.authority().apis(&self.store).await?;
        let (meta, states_scope) = loop {
            let (meta, states_scope, problem) = self.held(policy, said.clone(), had, &apis)?;
            let Some(problem) = problem else { break (meta, states_scope) };
            if !read::can_be_dropped(problem.field) || said.remove(problem.field).is_none() {
                return Err(broken(&problem));
            }
        };
        let said = |meta: &ClientMetadata| (meta.sector_identifier_uri.clone(), meta.redirect_uris.clone());
        // The sector that was verified at registration is not verified again if it is unchanged.
        if had.is_none_or(|had| said(had) != said(&meta)) {
            self.check_sector(&meta).await?;
        }
        let scopes = states_scope.then(|| meta.scope.clone());
        Ok(RegistrationRequest { meta, scopes, statement })
    }

    /// Returns the client whose registration `token` manages (RFC 7592 §2). The error is the same in all other cases,
    /// so that it discloses nothing.
    pub async fn managed_client(&self, id: &str, token: Option<&str>) -> Result<Arc<Client>> {
        let refused = || OAuthError::new(ErrorCode::InvalidToken, "The registration access token is missing or wrong.");
        let (id, token) = (ClientId::parse(id).map_err(|_| refused())?, token.ok_or_else(refused)?);
        let digest = SecretKind::Registration.digest(token);
        let client =
            self.current_client(&id).await?.filter(|client| client.registration_kind == RegistrationKind::Dynamic);
        let owned = client.filter(|client| client.registration_token.is_some_and(|kept| kept == digest));
        owned.filter(|client| !client.disabled).ok_or_else(refused)
    }

    /// Returns the metadata for the members `said` under `policy`, whether any of the requested scopes are left, and
    /// the violated rule of the whole.
    fn held(
        &self,
        policy: &Policy,
        mut said: Map<String, Value>,
        had: Option<&ClientMetadata>,
        apis: &[Api],
    ) -> Result<(ClientMetadata, bool, Option<MemberError>)> {
        let states_scope = said.contains_key("scope");
        let mut meta = read::metadata(std::mem::take(&mut said))?;
        if let Some(had) = had {
            // The rules apply to the whole metadata: a grant type may need a member that only an administrator can set.
            meta = meta.with_admin_only_members(had);
        }
        if !states_scope {
            // RFC 7591 §2: the server's default. OpenID Connect clients register no scopes, and may request any of the
            // standard ones later.
            meta.scope = policy.scopes().clone();
        }
        let keeps_scope = policy.apply(&mut meta, had, apis)?;
        let problem = meta.problems().into_iter().next().or_else(|| self.outbound_url_problem(&meta));
        Ok((meta, states_scope && keeps_scope, problem))
    }

    /// Returns the first member whose URL this server must not fetch.
    fn outbound_url_problem(&self, meta: &ClientMetadata) -> Option<MemberError> {
        let asked = [
            ("jwks_uri", meta.jwks_uri.as_ref()),
            ("sector_identifier_uri", meta.sector_identifier_uri.as_ref()),
            ("backchannel_logout_uri", meta.backchannel_logout_uri.as_ref()),
        ];
        let requests = meta.request_uris.iter().map(|uri| ("request_uris", Some(uri)));
        asked.into_iter().chain(requests).find_map(|(field, uri)| {
            let error = self.outbound.check(uri?.as_str()).err()?;
            Some(MemberError::new(field, error.to_string().trim_end_matches('.')))
        })
    }

    /// Checks that the file at `sector_identifier_uri` lists every redirect URI (OpenID Connect Registration §5).
    /// Otherwise nothing proves that they belong to the same sector.
    async fn check_sector(&self, meta: &ClientMetadata) -> Result<()> {
        let Some(uri) = &meta.sector_identifier_uri else { return Ok(()) };
        let field = "sector_identifier_uri";
        let outbound = self.outbound.for_purpose(Purpose::SectorIdentifiers).named_by(UrlSource::SelfRegistered);
        let fetched = outbound.get(uri.as_str(), "application/json").await;
        let fetched = fetched.map_err(|error| {
            let refusal = if error.is_temporary() {
                let text = "sector_identifier_uri cannot be fetched now. Try again in a moment.";
                OAuthError::new(ErrorCode::TemporarilyUnavailable, text)
            } else {
                wrong(field, "cannot be fetched.")
            };
            refusal.with_cause(error.to_string())
        })?;
        let listed: Vec<String> =
            serde_json::from_slice(&fetched.body).map_err(|_| wrong(field, "is not a JSON array of addresses."))?;
        if meta.redirect_uris.iter().all(|uri| listed.iter().any(|listed| listed == uri.as_str())) {
            return Ok(());
        }
        Err(wrong(field, "does not list every one of the redirect_uris."))
    }
}
