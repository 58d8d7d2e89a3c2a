//! Dynamic client registration: who may register a client, and what a self-registered client may have.

use serde::Deserialize;

/// Who may register clients at the registration endpoint (RFC 7591 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "lowercase")]
pub enum RegistrationMode {
    Off,
    Token,
    Open,
}

/// What a client may have that registers itself.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct RegistrationPolicy {
    /// Scopes that it may ask for, with spaces between: what says something about its own user. An API's scopes it may ask for
    /// where the API says `self_registered_clients`, whether they are named here or not.
    pub scope: String,
    /// Grant types that it may use. It never exchanges tokens or acts for itself unless these say so.
    #[serde(deserialize_with = "super::list::texts")]
    pub grant_types: Vec<String>,
    /// Schemes without a domain name, such as `cursor`, that its redirect URIs may begin with. Any other app on the user's
    /// device could claim such a scheme, too. Clients with metadata documents may have them as well.
    #[serde(deserialize_with = "super::list::texts")]
    pub redirect_schemes: Vec<String>,
    /// Hosts whose redirect URIs may begin with http, such as `nas.lan`, `*.home.arpa` or `192.168.1.0/24`. Whoever reads the
    /// traffic there reads codes, too. Clients with metadata documents may have them as well.
    #[serde(deserialize_with = "super::list::texts")]
    pub http_redirect_hosts: Vec<String>,
    /// How many such clients there may be.
    pub clients: u64,
    /// How many registrations one address may send in a quarter of an hour, and how many changes of registrations; one initial
    /// access token, and one client that changes its registration, as many of their own.
    pub per_address: i32,
    /// One that signs nobody in for this long is removed, in seconds; 0 keeps every one.
    pub unused: i64,
    /// Issuers whose software statements (RFC 7591 §2.3) are believed, each with the address of its keys.
    #[serde(deserialize_with = "super::list::tables")]
    pub software_issuers: Vec<SoftwareIssuer>,
}

impl Default for RegistrationPolicy {
    fn default() -> Self {
        Self {
            scope: "openid profile email address phone offline_access".to_owned(),
            grant_types: ["authorization_code", "implicit", "refresh_token"].map(str::to_owned).to_vec(),
            redirect_schemes: Vec::new(),
            http_redirect_hosts: Vec::new(),
            clients: 10_000,
            per_address: 500,
            unused: 30 * 86_400,
            software_issuers: Vec::new(),
        }
    }
}

/// An issuer of software statements.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub struct SoftwareIssuer {
    /// The `iss` claim, compared exactly.
    pub issuer: String,
    /// The URL of its keys.
    pub jwks_uri: String,
}
