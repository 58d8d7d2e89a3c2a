//! Protected resource metadata (RFC 9728): the authorization server and the scopes of an API, for the endpoints of this
//! server and for each registered API.
//!
//! §3 requires an API to serve its document at its own host. For an API below the issuer, this server serves it at the
//! well-known URL; for any other API, it provides the same document for the API's host to pass on.

use serde_json::{Value, json};

use super::Provider;
use super::discovery::ENDPOINTS;
use super::error::Result;
use super::resource::named;
use crate::domain::api::ApiId;
use crate::domain::scope::STANDARD_SCOPES;

/// Returns the URL of the document of an API (§3.1): at its own host, with the well-known part before its path. `None`
/// if the API's identifier is not a URL.
#[must_use]
pub fn address(identifier: &ApiId) -> Option<String> {
    let url = url::Url::parse(identifier.as_str()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let path = if url.path() == "/" { "" } else { url.path() };
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{}/.well-known/oauth-protected-resource{path}{query}", url.origin().ascii_serialization()))
}

impl Provider {
    /// Returns the document of UserInfo, the endpoint of this server that accepts access tokens, whose `aud` is the
    /// issuer. It names the requested resource, the endpoint or the issuer (§3.3).
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

    /// Returns the document of the API with that identifier, or an equivalent one ([`named`]). Its `resource` is the
    /// registered identifier, which clients compare (§3.3).
    pub async fn resource_metadata(&self, identifier: &str) -> Result<Option<Value>> {
        let apis = self.store.authority().apis(&self.store).await?;
        let found = named(&[identifier], apis.iter().map(|api| &api.identifier)).unwrap_or_default();
        Ok(apis.iter().find(|api| found.contains(&&api.identifier)).map(|api| {
            let mut document = json!({
                "resource": api.identifier,
                "resource_name": api.display_name(),
                "authorization_servers": [self.issuer.as_str()],
                // The method that every API with bearer tokens must support (RFC 6750 §2.1).
                "bearer_methods_supported": ["header"],
            });
            // §3.2: members without elements are omitted.
            if let Some(members) = document.as_object_mut().filter(|_| !api.scopes.is_empty()) {
                members.insert("scopes_supported".to_owned(), api.scopes.iter().collect());
            }
            document
        }))
    }
}
