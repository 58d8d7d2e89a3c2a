//! A client's metadata, by the names of RFC 7591 §2, OpenID Connect Registration §2 and what came after them.
//!
//! One struct serves `apply`, dynamic registration, the console and (as one JSON column) the database. `values` holds
//! what members may be, `rules` what they must be together, `people` those that say who may use the client and what it is
//! told of them, `certificates` and `redirects` those that are about TLS certificates and redirect URIs, `admin_only`
//! whose each member is. Next door: [`super::client`], what a client is beside what
//! it says of itself.

mod admin_only;
mod certificates;
mod redirects;
mod rules;
mod trust_withdrawal;
mod user_access;
mod values;

pub use admin_only::ADMIN_ONLY_MEMBERS;
pub use rules::MemberError;
pub use user_access::GroupName;
pub use values::{
    ApplicationType, ClientAuthMethod, ConsentPolicy, ExchangePolicy, GrantType, RefreshTokenRotation, ResponseType,
    SubjectType, TokenFormat, TrustedIssuer,
};

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::algorithms::{ContentEncryption, KeyManagementAlg, SigningAlg};
use super::certificate::DistinguishedName;
use super::http_host::HttpHost;
use super::ids::ApiId;
use super::jwks::JwkSet;
use super::permissions::ApiScopes;
use super::redirect_uri::RedirectUri;
use super::scope::{OPENID, Scopes};
use super::web_address::{FetchUri, WebPage};

/// What a client says of itself. Members that are absent have the defaults of OpenID Connect Registration §2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientMetadata {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_name: String,
    pub redirect_uris: Vec<RedirectUri>,
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    pub grant_types: Vec<GrantType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_types: Option<Vec<ResponseType>>,
    pub token_endpoint_auth_method: ClientAuthMethod,
    /// Whether it may use the registered method alone; otherwise `client_secret_basic` and `client_secret_post` are equal.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub strict_client_authentication: bool,
    /// The one algorithm of its assertions; any that the method has where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<SigningAlg>,
    /// How its certificate names it (RFC 8705 §2.1.2): one of these five with `tls_client_auth`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_subject_dn: Option<DistinguishedName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_dns: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_email: Option<String>,
    /// Its access tokens are good beside the certificate with which it got them, and alone they are nothing (RFC 8705 §3.4).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls_client_certificate_bound_access_tokens: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_type: Option<ApplicationType>,
    /// Hosts whose redirect URIs may be plain http.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http_redirect_hosts: Vec<HttpHost>,
    /// The scopes of no API that it may ask for (RFC 7591 §2). In documents names of APIs stand here too, until
    /// [`super::client_scopes`] has resolved them.
    pub scope: Scopes,
    /// The scopes of APIs that it may ask for.
    #[serde(skip_serializing_if = "ApiScopes::is_empty")]
    pub api_scopes: ApiScopes,
    /// The APIs whose tokens it may introspect, as a gateway before them does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub introspection_apis: Vec<ApiId>,
    pub consent: ConsentPolicy,
    /// The groups of the users who may use it; every user where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_groups: Vec<GroupName>,
    /// The claims that its ID tokens have beside UserInfo, as far as the granted scopes allow them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub id_token_claims: Vec<String>,
    /// PKCE (RFC 7636) even for a confidential client; a public one always needs it.
    pub require_pkce: bool,
    /// RFC 9126 §6.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub require_pushed_authorization_requests: bool,
    /// RFC 9101 §10.5.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub require_signed_request_object: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<JwkSet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<FetchUri>,
    pub subject_type: SubjectType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<FetchUri>,
    pub id_token_signed_response_alg: SigningAlg,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_encrypted_response_alg: Option<KeyManagementAlg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_encrypted_response_enc: Option<ContentEncryption>,
    /// Plain JSON where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<SigningAlg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_encrypted_response_alg: Option<KeyManagementAlg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_encrypted_response_enc: Option<ContentEncryption>,
    /// RFC 9701 §6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_signed_response_alg: Option<SigningAlg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_encrypted_response_alg: Option<KeyManagementAlg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_encrypted_response_enc: Option<ContentEncryption>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_signing_alg: Option<SigningAlg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_encryption_alg: Option<KeyManagementAlg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_encryption_enc: Option<ContentEncryption>,
    /// Where its request objects may lie, each to the letter (OpenID Connect Registration §2).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_uris: Vec<FetchUri>,
    /// Seconds; used where the request has no `max_age`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<i64>,
    /// `auth_time` is in every ID token of ours, whether it is asked for or not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub require_auth_time: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub default_acr_values: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiate_login_uri: Option<WebPage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<FetchUri>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub backchannel_logout_session_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frontchannel_logout_uri: Option<WebPage>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub frontchannel_logout_session_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_format: Option<TokenFormat>,
    #[serde(skip_serializing_if = "RefreshTokenRotation::is_default")]
    pub refresh_token_rotation: RefreshTokenRotation,
    /// Seconds for which a replaced refresh token gets its successor again; the setting's where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token_grace: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_exchange: Vec<ExchangePolicy>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jwt_bearer: Vec<TrustedIssuer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<WebPage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<WebPage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<WebPage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<WebPage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
}

impl Default for ClientMetadata {
    fn default() -> Self {
        Self {
            client_name: String::new(),
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            grant_types: vec![GrantType::AuthorizationCode],
            response_types: None,
            token_endpoint_auth_method: ClientAuthMethod::ClientSecretBasic,
            strict_client_authentication: false,
            token_endpoint_auth_signing_alg: None,
            tls_client_auth_subject_dn: None,
            tls_client_auth_san_dns: None,
            tls_client_auth_san_uri: None,
            tls_client_auth_san_ip: None,
            tls_client_auth_san_email: None,
            tls_client_certificate_bound_access_tokens: false,
            application_type: None,
            http_redirect_hosts: Vec::new(),
            // RFC 7591 §2 leaves it to the server: who it is that signs in.
            scope: [OPENID, "profile", "email"].into_iter().collect(),
            api_scopes: ApiScopes::default(),
            introspection_apis: Vec::new(),
            consent: ConsentPolicy::Required,
            allowed_groups: Vec::new(),
            id_token_claims: Vec::new(),
            require_pkce: false,
            require_pushed_authorization_requests: false,
            require_signed_request_object: false,
            jwks: None,
            jwks_uri: None,
            subject_type: SubjectType::Public,
            sector_identifier_uri: None,
            id_token_signed_response_alg: SigningAlg::RS256,
            id_token_encrypted_response_alg: None,
            id_token_encrypted_response_enc: None,
            userinfo_signed_response_alg: None,
            userinfo_encrypted_response_alg: None,
            userinfo_encrypted_response_enc: None,
            introspection_signed_response_alg: None,
            introspection_encrypted_response_alg: None,
            introspection_encrypted_response_enc: None,
            request_object_signing_alg: None,
            request_object_encryption_alg: None,
            request_object_encryption_enc: None,
            request_uris: Vec::new(),
            default_max_age: None,
            require_auth_time: false,
            default_acr_values: Vec::new(),
            initiate_login_uri: None,
            backchannel_logout_uri: None,
            backchannel_logout_session_required: false,
            frontchannel_logout_uri: None,
            frontchannel_logout_session_required: false,
            access_token_format: None,
            refresh_token_rotation: RefreshTokenRotation::Always,
            refresh_token_grace: None,
            token_exchange: Vec::new(),
            jwt_bearer: Vec::new(),
            contacts: Vec::new(),
            client_uri: None,
            logo_uri: None,
            policy_uri: None,
            tos_uri: None,
            software_id: None,
            software_version: None,
        }
    }
}

impl ClientMetadata {
    #[must_use]
    pub fn allows(&self, grant_type: GrantType) -> bool {
        self.grant_types.contains(&grant_type)
    }

    /// Whether people come to it through the authorization endpoint.
    #[must_use]
    pub fn has_redirect_flow(&self) -> bool {
        self.allows(GrantType::AuthorizationCode) || self.allows(GrantType::Implicit)
    }

    /// Whether it has an address to be told of a session's end.
    #[must_use]
    pub const fn has_logout_uri(&self) -> bool {
        self.backchannel_logout_uri.is_some() || self.frontchannel_logout_uri.is_some()
    }

    /// Its response types, the default filled in (OpenID Connect Registration §2): `code` alone, for those who redeem one.
    #[must_use]
    pub fn response_types(&self) -> Vec<ResponseType> {
        match &self.response_types {
            Some(stated) => stated.clone(),
            None if self.allows(GrantType::AuthorizationCode) => vec![ResponseType::Code],
            None => Vec::new(),
        }
    }

    /// Leaves out the response types whose grant types are not allowed; whether one is left, if any was stated.
    #[must_use]
    pub fn narrow_response_types(&mut self) -> bool {
        let grant_types = &self.grant_types;
        let Some(stated) = &mut self.response_types else { return true };
        let was_empty = stated.is_empty();
        stated.retain(|stated| stated.required_grant_types().iter().all(|grant| grant_types.contains(grant)));
        was_empty || !stated.is_empty()
    }

    #[must_use]
    pub fn allows_response_type(&self, response_type: ResponseType) -> bool {
        self.response_types().contains(&response_type)
    }

    /// The methods by which it may authenticate.
    #[must_use]
    pub fn auth_methods(&self) -> &[ClientAuthMethod] {
        const BY_SECRET: [ClientAuthMethod; 2] =
            [ClientAuthMethod::ClientSecretBasic, ClientAuthMethod::ClientSecretPost];
        if BY_SECRET.contains(&self.token_endpoint_auth_method) && !self.strict_client_authentication {
            return &BY_SECRET;
        }
        std::slice::from_ref(&self.token_endpoint_auth_method)
    }

    #[must_use]
    pub fn is_public(&self) -> bool {
        self.token_endpoint_auth_method == ClientAuthMethod::None
    }

    /// Whether it proves who it is by its secret, or has one for MACs.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        match self.token_endpoint_auth_method {
            ClientAuthMethod::None => false,
            ClientAuthMethod::PrivateKeyJwt
            | ClientAuthMethod::TlsClientAuth
            | ClientAuthMethod::SelfSignedTlsClientAuth => self.needs_plaintext_secret(),
            _ => true,
        }
    }

    /// Whether a MAC is computed under its secret, so that a hash of it would not do (OpenID Connect Core §10.1).
    #[must_use]
    pub fn needs_plaintext_secret(&self) -> bool {
        self.token_endpoint_auth_method == ClientAuthMethod::ClientSecretJwt
            || self.signing_algs().any(|(_, alg)| alg == SigningAlg::HS256)
    }

    fn signing_algs(&self) -> impl Iterator<Item = (&'static str, SigningAlg)> {
        [
            ("id_token_signed_response_alg", Some(self.id_token_signed_response_alg)),
            ("userinfo_signed_response_alg", self.userinfo_signed_response_alg),
            ("introspection_signed_response_alg", self.introspection_signed_response_alg),
            ("request_object_signing_alg", self.request_object_signing_alg),
        ]
        .into_iter()
        .filter_map(|(field, alg)| Some((field, alg?)))
    }

    /// The sector of its pairwise subjects (OpenID Connect Core §8.1): the host of `sector_identifier_uri`, or the only
    /// host of the redirect URIs; nothing where they have several.
    #[must_use]
    pub fn sector(&self) -> Option<String> {
        if let Some(uri) = &self.sector_identifier_uri {
            return Some(uri.host());
        }
        let mut hosts: Vec<String> = self.redirect_uris.iter().filter_map(RedirectUri::host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        match hosts.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        }
    }
}
