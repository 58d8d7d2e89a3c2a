//! A client's metadata, with the names of RFC 7591 §2, OpenID Connect Registration §2 and later specifications.
//!
//! One struct serves `apply`, dynamic registration, the console and (as one JSON column) the database. `values` has the
//! types of the members and `rules` the rules between them. `user_access` has the members about which users may use the
//! client and which claims it receives. `certificates` has those about TLS certificates, `redirects` those about
//! redirect URIs, and `admin_only` lists those that only an administrator sets. See also [`super::client`], the client
//! with everything besides its metadata.

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

/// Client metadata. Absent members have the defaults of OpenID Connect Registration §2.
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
    /// Whether only the registered method is accepted. If not, `client_secret_basic` and `client_secret_post` are
    /// interchangeable.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub strict_client_authentication: bool,
    /// The only algorithm for client assertions. If absent, every algorithm of the method is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<SigningAlg>,
    /// The name in the client's certificate (RFC 8705 §2.1.2). `tls_client_auth` needs exactly one of these five
    /// members.
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
    /// Whether access tokens are bound to the certificate with which they were requested (RFC 8705 §3.4).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls_client_certificate_bound_access_tokens: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_type: Option<ApplicationType>,
    /// Hosts whose redirect URIs may use plain http.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http_redirect_hosts: Vec<HttpHost>,
    /// The scopes of no API that the client may request (RFC 7591 §2). In documents, API scopes may appear here, too,
    /// until [`super::client_scopes`] resolves them.
    pub scope: Scopes,
    /// The API scopes that the client may request.
    #[serde(skip_serializing_if = "ApiScopes::is_empty")]
    pub api_scopes: ApiScopes,
    /// The APIs whose tokens the client may introspect, for instance as a gateway in front of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub introspection_apis: Vec<ApiId>,
    pub consent: ConsentPolicy,
    /// The groups whose members may use the client. If empty, every user may.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_groups: Vec<GroupName>,
    /// The claims that its ID tokens have in addition to UserInfo, within the granted scopes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub id_token_claims: Vec<String>,
    /// Whether a confidential client must use PKCE (RFC 7636). Public clients always must.
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
    /// If absent, the response is plain JSON.
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
    /// The allowed URIs of request objects, compared exactly (OpenID Connect Registration §2).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_uris: Vec<FetchUri>,
    /// In seconds. Applies to requests without `max_age`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<i64>,
    /// Has no effect: every ID token has `auth_time`.
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
    /// Seconds for which a replaced refresh token returns its successor again. If absent, the configured default
    /// applies.
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
            // RFC 7591 §2 leaves the default to the server. These scopes identify the user.
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

    /// Returns whether users reach the client through the authorization endpoint.
    #[must_use]
    pub fn has_redirect_flow(&self) -> bool {
        self.allows(GrantType::AuthorizationCode) || self.allows(GrantType::Implicit)
    }

    /// Returns whether the client has a URI for logout notifications.
    #[must_use]
    pub const fn has_logout_uri(&self) -> bool {
        self.backchannel_logout_uri.is_some() || self.frontchannel_logout_uri.is_some()
    }

    /// Returns the response types. The default is `code` if the client redeems codes (OpenID Connect Registration §2).
    #[must_use]
    pub fn response_types(&self) -> Vec<ResponseType> {
        match &self.response_types {
            Some(stated) => stated.clone(),
            None if self.allows(GrantType::AuthorizationCode) => vec![ResponseType::Code],
            None => Vec::new(),
        }
    }

    /// Removes the response types whose grant types are not allowed. Returns `false` if none of the stated ones is
    /// left.
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

    /// Returns the methods by which the client may authenticate.
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

    /// Returns whether the client has a secret, for authentication or for MACs.
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

    /// Returns whether the secret is a MAC key and can therefore not be stored as a hash (OpenID Connect Core §10.1).
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

    /// Returns the sector of the client's pairwise subjects (OpenID Connect Core §8.1): the host of
    /// `sector_identifier_uri` or the only host of the redirect URIs. Returns `None` if they have several hosts.
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
