//! Dynamic client registration: who may register a client, and what a stranger may have.

use serde::Deserialize;

/// Who may register clients at the registration endpoint (RFC 7591 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    Off,
    Token,
    Open,
}

/// What a client may have that registers itself.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct RegistrationPolicy {
    /// Scopes that it may ask for, with spaces between: what says something about its own person, and no API's unless an API's
    /// scope is named here, which gives it to every client that registers itself.
    pub scope: String,
    /// Grant types that it may use. It never exchanges tokens or acts for itself unless these say so.
    pub grant_types: Vec<String>,
    /// How many such clients there may be.
    pub clients: u64,
    /// How many registrations one address may send in a quarter of an hour, and how many changes of registrations; one initial
    /// access token, and one client that changes its registration, as many of their own.
    pub per_address: i32,
    /// One that signs nobody in for this long is removed, in seconds; 0 keeps every one.
    pub unused: i64,
    /// Issuers whose software statements (RFC 7591 §2.3) are believed, each with the address of its keys.
    pub software_issuers: Vec<SoftwareIssuer>,
}

impl Default for RegistrationPolicy {
    fn default() -> Self {
        Self {
            scope: "openid profile email address phone offline_access".to_owned(),
            grant_types: ["authorization_code", "implicit", "refresh_token"].map(str::to_owned).to_vec(),
            clients: 10_000,
            per_address: 500,
            unused: 30 * 86_400,
            software_issuers: Vec::new(),
        }
    }
}

/// Somebody who vouches for software.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub struct SoftwareIssuer {
    /// `iss`, to the letter.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: String,
}
