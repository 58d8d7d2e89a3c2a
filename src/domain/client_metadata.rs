//! A client's metadata, by the names of RFC 7591 §2 and OpenID Connect Registration §2, and the rules between its members.
//!
//! One struct serves `apply`, the console and (as one JSON column) the database. Next door: [`super::client`], what a
//! client is beside what it says of itself.

use serde::{Deserialize, Serialize};

use super::algorithms::SigningAlg;
use super::redirect_uri::RedirectUri;
use super::scope::{OFFLINE_ACCESS, OPENID, Scopes};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
}

impl GrantType {
    pub const ALL: [Self; 3] = [Self::AuthorizationCode, Self::RefreshToken, Self::ClientCredentials];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseType {
    Code,
}

impl ResponseType {
    pub const ALL: [Self; 1] = [Self::Code];
}

/// How a client proves who it is at our endpoints (OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMethod {
    None,
    ClientSecretBasic,
    ClientSecretPost,
}

impl ClientAuthMethod {
    pub const ALL: [Self; 3] = [Self::ClientSecretBasic, Self::ClientSecretPost, Self::None];
}

/// RFC 8252: a native app's loopback redirect may use any port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationType {
    Web,
    Native,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// The person is asked, once for each set of scopes.
    Required,
    /// A first-party client: nobody is asked.
    Trusted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenFormat {
    Jwt,
    Opaque,
}

/// What a client says of itself. Members that are absent have the defaults of OpenID Connect Registration §2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientMetadata {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client_name: String,
    #[serde(default)]
    pub redirect_uris: Vec<RedirectUri>,
    #[serde(default)]
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    #[serde(default = "default_grant_types")]
    pub grant_types: Vec<GrantType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_types: Option<Vec<ResponseType>>,
    #[serde(default = "default_auth_method")]
    pub token_endpoint_auth_method: ClientAuthMethod,
    #[serde(default = "default_application_type")]
    pub application_type: ApplicationType,
    /// What it may ask for (RFC 7591 §2).
    #[serde(default = "default_scope")]
    pub scope: Scopes,
    #[serde(default = "default_consent")]
    pub consent: Consent,
    /// PKCE (RFC 7636) even for a confidential client; a public one always needs it.
    #[serde(default)]
    pub require_pkce: bool,
    #[serde(default = "default_id_token_alg")]
    pub id_token_signed_response_alg: SigningAlg,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_format: Option<TokenFormat>,
    /// Seconds; used where the request has no `max_age`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<WebPage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<WebPage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<WebPage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<WebPage>,
}

fn default_grant_types() -> Vec<GrantType> {
    vec![GrantType::AuthorizationCode]
}
/// RFC 7591 §2 leaves the default to the server: who it is that signs in.
fn default_scope() -> Scopes {
    [OPENID, "profile", "email"].into_iter().collect()
}
const fn default_auth_method() -> ClientAuthMethod {
    ClientAuthMethod::ClientSecretBasic
}
const fn default_application_type() -> ApplicationType {
    ApplicationType::Web
}
const fn default_consent() -> Consent {
    Consent::Required
}
const fn default_id_token_alg() -> SigningAlg {
    SigningAlg::RS256
}

impl Default for ClientMetadata {
    fn default() -> Self {
        Self {
            client_name: String::new(),
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            grant_types: default_grant_types(),
            response_types: None,
            token_endpoint_auth_method: default_auth_method(),
            application_type: default_application_type(),
            scope: default_scope(),
            consent: default_consent(),
            require_pkce: false,
            id_token_signed_response_alg: default_id_token_alg(),
            access_token_format: None,
            default_max_age: None,
            client_uri: None,
            logo_uri: None,
            policy_uri: None,
            tos_uri: None,
        }
    }
}

/// A member that is wrong, and the sentence that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    pub field: &'static str,
    pub message: String,
}

impl FieldError {
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

impl ClientMetadata {
    #[must_use]
    pub fn allows(&self, grant_type: GrantType) -> bool {
        self.grant_types.contains(&grant_type)
    }

    /// Response types follow from the grant types unless they are stated (OpenID Connect Registration §2).
    #[must_use]
    pub fn allows_response(&self, response_type: ResponseType) -> bool {
        self.allows(GrantType::AuthorizationCode)
            && self.response_types.as_ref().is_none_or(|types| types.contains(&response_type))
    }

    #[must_use]
    pub fn is_public(&self) -> bool {
        self.token_endpoint_auth_method == ClientAuthMethod::None
    }

    /// The rules between members; the members' own rules held when they were parsed.
    #[must_use]
    pub fn problems(&self) -> Vec<FieldError> {
        let mut problems = Vec::new();
        let mut wrong = |field, message: &str| problems.push(FieldError::new(field, message));
        if self.client_name.chars().count() > 100 {
            wrong("client_name", "is longer than 100 characters");
        }
        if self.client_name.chars().any(char::is_control) {
            wrong("client_name", "has a control character");
        }
        if self.allows(GrantType::AuthorizationCode) && self.redirect_uris.is_empty() {
            wrong("redirect_uris", "at least one return address is needed for authorization_code");
        }
        if self.redirect_uris.len() > 50 || self.post_logout_redirect_uris.len() > 50 {
            wrong("redirect_uris", "has more than 50 addresses");
        }
        // A confidential one without any may still introspect: an API that gets tokens and asks for none.
        if self.grant_types.is_empty() && self.is_public() {
            wrong("grant_types", "is empty");
        }
        if self.allows(GrantType::RefreshToken) && !self.allows(GrantType::AuthorizationCode) {
            wrong("grant_types", "refresh_token needs authorization_code beside it");
        }
        if self.is_public() && self.allows(GrantType::ClientCredentials) {
            wrong("grant_types", "client_credentials needs a client that can keep a secret");
        }
        if self.scope.contains(OFFLINE_ACCESS) && !self.allows(GrantType::RefreshToken) {
            wrong("scope", "offline_access needs the grant type refresh_token");
        }
        if self.default_max_age.is_some_and(|seconds| !(0..=31_536_000).contains(&seconds)) {
            wrong("default_max_age", "is a number of seconds from 0 to 31536000");
        }
        problems
    }
}

/// An https (or loopback http) address that people or their browsers open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebPage(String);

impl WebPage {
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        RedirectUri::parse(text.split('#').next().unwrap_or_default())
            .ok()
            .filter(|uri| uri.as_str().starts_with("http") && !text.bytes().any(|b| b.is_ascii_whitespace()))
            .map(|_| Self(text.to_owned()))
            .ok_or("must be an https address")
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WebPage {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).map_err(|problem| format!("the address {text:?} {problem}"))
    }
}

impl From<WebPage> for String {
    fn from(page: WebPage) -> Self {
        page.0
    }
}
