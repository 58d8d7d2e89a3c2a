//! What a client that registers itself may have (OpenID Connect Registration §2, RFC 7591 §5): the settings' scopes and
//! grant types, the APIs that take such clients, and redirect URIs that fit [`super::redirects`].
//!
//! Whatever is not offered is left out, or gives way to the default, and the client is told what is registered (RFC 7591
//! §3.2.1). Where no grant type, response type or redirect URI is left, the registration is refused: the client could not
//! work as it means to.

use super::redirects::VouchedRedirects;
use super::wrong;
use crate::config::{RegistrationPolicy, SoftwareIssuer};
use crate::domain::algorithms::SigningAlg;
use crate::domain::api::Api;
use crate::domain::client_metadata::{ClientAuthMethod, ClientMetadata, GrantType};
use crate::domain::scope::{OFFLINE_ACCESS, Scopes};
use crate::protocol::error::Result;

/// The settings, read.
#[derive(Clone, Debug)]
pub struct Policy {
    scopes: Scopes,
    grant_types: Vec<GrantType>,
    /// Whether a proxy hands them on.
    certificates: bool,
    redirects: VouchedRedirects,
    /// How many such clients there may be.
    pub clients: u64,
    pub per_address: i32,
    pub(super) software_issuers: Vec<SoftwareIssuer>,
}

impl Policy {
    /// # Errors
    /// A sentence that names the setting.
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

    /// Narrows `meta` to what may be had. What it `had` may stay: an administrator gave it, or the settings were others.
    /// Returns false if no scope was left of those in `meta`, so that it has the default ones.
    ///
    /// # Errors
    /// What RFC 7591 §3.2.2 answers, naming the member.
    pub fn apply(&self, meta: &mut ClientMetadata, had: Option<&ClientMetadata>, apis: &[Api]) -> Result<bool> {
        self.narrow_grants(meta, had)?;
        if !self.certificates {
            // No client certificates come here (RFC 8705).
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
        // OpenID Connect Registration §2 and RFC 9701 §6 let encryption stand alone; what is encrypted is signed first here.
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
            // Who registers for refresh tokens may ask for those that outlive the session (OpenID Connect Core §11).
            meta.scope = meta.scope.union(&[OFFLINE_ACCESS].into_iter().collect());
        }
        self.redirects.narrow(meta, had)?;
        Ok(keeps_scope)
    }

    /// Leaves out the grant types and response types that may not be had.
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
            // There is nothing to refresh.
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

    /// What those may ask for whom nobody here knows, and who do not say what they will.
    #[must_use]
    pub const fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// What the settings vouch for.
    #[must_use]
    pub const fn redirects(&self) -> &VouchedRedirects {
        &self.redirects
    }
}
