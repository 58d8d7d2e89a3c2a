//! Protected resource metadata (RFC 9728): which authorization server's tokens an API takes, and with which scopes. For
//! our own endpoints, and for each registered API.
//!
//! §3 has an API serve its document at its own host. One below the issuer is served here at its well-known address; for
//! any other one we hand the same document out, for its host to pass on.

use serde_json::{Value, json};

use super::Provider;
use super::discovery::ENDPOINTS;
use super::error::Result;
use super::resource::named;
use crate::domain::api::ApiId;
use crate::domain::scope::STANDARD_SCOPES;

/// Where the document of an API stands (§3.1): at its own host, the well-known part before its path. Nothing for one whose
/// name is no address.
#[must_use]
pub fn address(identifier: &ApiId) -> Option<String> {
    let url = url::Url::parse(identifier.as_str()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let path = if url.path() == "/" { "" } else { url.path() };
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{}/.well-known/oauth-protected-resource{path}{query}", url.origin().ascii_serialization()))
}

impl Provider {
    /// Of UserInfo, the endpoint of ours that takes access tokens, whose `aud` is the issuer. §3.3: it is named by the
    /// address that was asked, the endpoint's or the issuer.
    pub fn own_resource_metadata(&self, resource: &str, name: &str) -> Value {
        json!({
            "resource": resource,
            "resource_name": name,
            "authorization_servers": [self.issuer.as_str()],
            "jwks_uri": self.issuer.join(ENDPOINTS.jwks),
            "scopes_supported": STANDARD_SCOPES,
            "bearer_methods_supported": ["header", "body"],
        })
    }

    /// Of the API of that identifier, or of an equivalent one ([`named`]): `resource` is what was registered, with which
    /// clients compare it (§3.3).
    pub async fn resource_metadata(&self, identifier: &str) -> Result<Option<Value>> {
        let apis = self.store.authority().apis(&self.store).await?;
        let found = named(&[identifier], apis.iter().map(|api| &api.identifier)).unwrap_or_default();
        Ok(apis.iter().find(|api| found.contains(&&api.identifier)).map(|api| {
            let mut document = json!({
                "resource": api.identifier,
                "resource_name": api.display_name(),
                "authorization_servers": [self.issuer.as_str()],
                // What every API that takes bearer tokens has to take (RFC 6750 §2.1).
                "bearer_methods_supported": ["header"],
            });
            // §3.2: what has no elements is left out.
            if let Some(members) = document.as_object_mut().filter(|_| !api.scopes.is_empty()) {
                members.insert("scopes_supported".to_owned(), api.scopes.iter().collect());
            }
            document
        }))
    }
}
