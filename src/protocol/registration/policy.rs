//! What a client that registers itself may have (OpenID Connect Registration §2, RFC 7591 §5): the scopes and grant
//! types in the settings, the APIs that accept such clients, and redirect URIs that [`super::redirects`] allows.
//!
//! Anything else is dropped or replaced by the default, and the response contains what is registered (RFC 7591 §3.2.1).
//! If no grant type, response type or redirect URI is left, the registration is refused: the client could not work as
//! intended.

use super::redirects::VouchedRedirects;
use super::wrong;
use crate::config::{RegistrationPolicy, SoftwareIssuer};
use crate::domain::algorithms::SigningAlg;
use crate::domain::api::Api;
use crate::domain::client_metadata::{ClientAuthMethod, ClientMetadata, GrantType};
use crate::domain::scope::{OFFLINE_ACCESS, Scopes};
use crate::protocol::error::Result;

/// The parsed settings.
#[derive(Clone, Debug)]
pub struct Policy {
    scopes: Scopes,
    grant_types: Vec<GrantType>,
    /// Whether a proxy forwards client certificates.
    certificates: bool,
    redirects: VouchedRedirects,
    /// The maximum number of such clients.
    pub clients: u64,
    pub per_address: i32,
    pub(super) software_issuers: Vec<SoftwareIssuer>,
}

impl Policy {
    /// # Errors
    /// If a setting is invalid. The text names the setting.
    pub fn new(settings: &RegistrationPolicy, certificates: bool) -> std::result::Result<Self, String> {
        let scopes =
            Scopes::parse(&settings.scope).map_err(|problem| format!("registration_policy.scope: {problem}"))?;
        let grant = |name: &String| {
            let known = serde_json::from_value(name.as_str().into());
            known.map_err(|_| format!("registration_policy.grant_types: there is no grant type {name}"))
        };
        Ok(Self {
            scopes,
            grant_types: settings.grant_types.iter().map(grant).collect::<std::result::Result<_, _>>()?,
            certificates,
            redirects: VouchedRedirects::new(settings)?,
            clients: settings.clients,
            per_address: settings.per_address,
            software_issuers: settings.software_issuers.clone(),
        })
    }

    /// Narrows `meta` to what is allowed. Values that the client already `had` are kept: an administrator set them, or
    /// the settings were different.
    ///
    /// Returns false if none of the scopes in `meta` was left, so that it has the default ones.
    ///
    /// # Errors
    /// Returns the error of RFC 7591 §3.2.2, naming the member.
    pub fn apply(&self, meta: &mut ClientMetadata, had: Option<&ClientMetadata>, apis: &[Api]) -> Result<bool> {
        self.narrow_grants(meta, had)?;
        if !self.certificates {
            // The proxy forwards no client certificates (RFC 8705).
            meta.tls_client_certificate_bound_access_tokens = false;
            if meta.token_endpoint_auth_method.is_mutual_tls() {
                meta.token_endpoint_auth_method = ClientAuthMethod::ClientSecretBasic;
                meta.tls_client_auth_subject_dn = None;
                meta.tls_client_auth_san_dns = None;
                meta.tls_client_auth_san_uri = None;
                meta.tls_client_auth_san_ip = None;
                meta.tls_client_auth_san_email = None;
            }
        }
        // OpenID Connect Registration §2 and RFC 9701 §6 allow encryption without a signature; this server signs before
        // it encrypts.
        if meta.userinfo_encrypted_response_alg.is_some() {
            meta.userinfo_signed_response_alg.get_or_insert(SigningAlg::RS256);
        }
        if meta.introspection_encrypted_response_alg.is_some() {
            meta.introspection_signed_response_alg.get_or_insert(SigningAlg::RS256);
        }
        let renews = meta.allows(GrantType::RefreshToken);
        let given = had.map(|had| had.scope.union(&had.api_scopes.names())).unwrap_or_default();
        let is_admitted =
            |scope: &str| apis.iter().any(|api| api.self_registered_clients && api.scopes.contains(scope));
        let may_ask = |scope: &str| self.scopes.contains(scope) || given.contains(scope) || is_admitted(scope);
        meta.scope = meta.scope.filtered(|scope| may_ask(scope) && (renews || scope != OFFLINE_ACCESS));
        let keeps_scope = !meta.scope.is_empty();
        if !keeps_scope {
            meta.scope = self.scopes.filtered(|scope| renews || scope != OFFLINE_ACCESS);
        }
        if renews && !meta.scope.contains(OFFLINE_ACCESS) && self.scopes.contains(OFFLINE_ACCESS) {
            // Clients registered for refresh tokens may request ones that outlive the session (OpenID Connect Core
            // §11).
            meta.scope = meta.scope.union(&[OFFLINE_ACCESS].into_iter().collect());
        }
        self.redirects.narrow(meta, had)?;
        Ok(keeps_scope)
    }

    /// Removes the grant types and response types that are not allowed.
    fn narrow_grants(&self, meta: &mut ClientMetadata, had: Option<&ClientMetadata>) -> Result<()> {
        let may_use = |grant: &GrantType| self.grant_types.contains(grant) || had.is_some_and(|had| had.allows(*grant));
        let is_public = meta.is_public();
        let trusts_issuers = !meta.jwt_bearer.is_empty();
        let stated = !meta.grant_types.is_empty();
        meta.grant_types.retain(|grant| {
            let fits = match grant {
                GrantType::ClientCredentials | GrantType::TokenExchange => !is_public,
                GrantType::JwtBearer => trusts_issuers,
                _ => true,
            };
            fits && may_use(grant)
        });
        if !meta.allows(GrantType::AuthorizationCode) && !meta.allows(GrantType::DeviceCode) {
            // Without these grants there is nothing to refresh.
            meta.grant_types.retain(|grant| *grant != GrantType::RefreshToken);
        }
        if stated && meta.grant_types.is_empty() {
            return Err(wrong("grant_types", "none of these may be registered here."));
        }
        if !meta.narrow_response_types() {
            return Err(wrong(
                "response_types",
                "none of these goes with the grant types that may be registered here.",
            ));
        }
        Ok(())
    }

    /// Returns the scopes for clients that no administrator registered and that do not specify any.
    #[must_use]
    pub const fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// Returns the redirect URIs that the settings vouch for.
    #[must_use]
    pub const fn redirects(&self) -> &VouchedRedirects {
        &self.redirects
    }
}
