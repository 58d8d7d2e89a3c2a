//! What a client that registers itself may have: the settings' scopes and grant types, and addresses that fit what it says
//! it is (OpenID Connect Registration §2, RFC 7591 §5).

use super::{broken, wrong};
use crate::config::{RegistrationPolicy, SoftwareIssuer};
use crate::domain::algorithms::SigningAlg;
use crate::domain::client_metadata::{ApplicationType, ClientMetadata, GrantType};
use crate::domain::scope::{OFFLINE_ACCESS, Scopes};
use crate::protocol::error::{ErrorCode, OAuthError, Result};

/// The settings, read.
#[derive(Clone, Debug)]
pub struct Policy {
    scopes: Scopes,
    grant_types: Vec<GrantType>,
    /// Whether a proxy hands them on.
    certificates: bool,
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
            clients: settings.clients,
            per_address: settings.per_address,
            software_issuers: settings.software_issuers.clone(),
        })
    }

    /// Takes what may be had and refuses the rest: scopes are cut to what is allowed (RFC 7591 §2: the server may), a
    /// grant type that is not allowed is an error, since the client could not work as it means to. What it `had` may stay:
    /// an administrator gave it, or the settings were others.
    ///
    /// # Errors
    /// What RFC 7591 §3.2.2 answers, naming the member.
    pub fn hold(&self, meta: &mut ClientMetadata, had: Option<&ClientMetadata>) -> Result<()> {
        let may_use = |grant: &GrantType| self.grant_types.contains(grant) || had.is_some_and(|had| had.allows(*grant));
        if let Some(grant) = meta.grant_types.iter().find(|grant| !may_use(grant)) {
            let name = serde_json::to_value(grant).unwrap_or_default();
            return Err(wrong(
                "grant_types",
                &format!("{} may not be registered here.", name.as_str().unwrap_or_default()),
            ));
        }
        let asks = meta.token_endpoint_auth_method.is_by_certificate();
        if !self.certificates && (asks || meta.tls_client_certificate_bound_access_tokens) {
            let field = if asks { "token_endpoint_auth_method" } else { "tls_client_certificate_bound_access_tokens" };
            return Err(wrong(field, "no client certificates come here (RFC 8705)."));
        }
        // OpenID Connect Registration §2 and RFC 9701 §6 let encryption stand alone; what is encrypted is signed first here.
        if meta.userinfo_encrypted_response_alg.is_some() {
            meta.userinfo_signed_response_alg.get_or_insert(SigningAlg::RS256);
        }
        if meta.introspection_encrypted_response_alg.is_some() {
            meta.introspection_signed_response_alg.get_or_insert(SigningAlg::RS256);
        }
        let renews = meta.allows(GrantType::RefreshToken);
        if renews && !meta.scope.contains(OFFLINE_ACCESS) && self.scopes.contains(OFFLINE_ACCESS) {
            // Who registers for refresh tokens may ask for those that outlive the session (OpenID Connect Core §11).
            meta.scope = meta.scope.union(&[OFFLINE_ACCESS].into_iter().collect());
        }
        let had = had.map(|had| had.permissions().names()).unwrap_or_default();
        let may_ask = |scope: &str| self.scopes.contains(scope) || had.contains(scope);
        meta.scope = meta.scope.filtered(|scope| may_ask(scope) && (renews || scope != OFFLINE_ACCESS));
        if meta.scope.is_empty() {
            return Err(wrong("scope", "none of these scopes may be registered here."));
        }
        check_redirects(meta)?;
        meta.problems().first().map_or(Ok(()), |rule| Err(broken(rule)))
    }

    /// What those may ask for whom nobody here knows, and who do not say what they will.
    #[must_use]
    pub const fn scopes(&self) -> &Scopes {
        &self.scopes
    }
}

/// OpenID Connect Registration §2, `application_type`.
pub(in crate::protocol) fn check_redirects(meta: &ClientMetadata) -> Result<()> {
    let refused = |text: &str| Err(OAuthError::new(ErrorCode::InvalidRedirectUri, format!("redirect_uris: {text}")));
    for uri in &meta.redirect_uris {
        let (text, host) = (uri.as_str(), uri.host());
        let loopback = matches!(host.as_deref(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match meta.application_type {
            ApplicationType::Web if !text.starts_with("http") => {
                return refused(
                    "a web client has https addresses; a scheme of its own is for application_type native.",
                );
            }
            ApplicationType::Web if meta.allows(GrantType::Implicit) && (loopback || !text.starts_with("https://")) => {
                return refused("a web client of the implicit grant has https addresses, and none at localhost.");
            }
            ApplicationType::Native if text.starts_with("https://") && loopback => {
                return refused("a native client uses http at the loopback address.");
            }
            _ => {}
        }
    }
    Ok(())
}
