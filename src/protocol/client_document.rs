//! Clients whose id is the https address of their metadata (OAuth Client ID Metadata Document): nobody registers them.
//! The document is fetched when it is first needed, checked, and kept as long as its answer says, within bounds; what is
//! wrong with one is remembered for a minute too. One fetch at a time an address, however many requests wait for it.
//!
//! Such a client is a stranger: it has no secret (§4.1), PKCE is needed and the person is asked, always. Therefore it may
//! ask for the scopes of every API that is registered here, which is what MCP clients need that nobody announced.
//!
//! Next door: [`super::registration`], whose members the document has; [`super::client`], the one look-up.

use std::sync::Arc;

use moka::sync::Cache;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use url::Url;

use super::error::{OAuthError, Result};
use super::{Provider, registration};
use crate::domain::api::Api;
use crate::domain::client::Client;
use crate::domain::client_metadata::{ClientMetadata, GrantType};
use crate::domain::ids::ClientId;
use crate::domain::scope::{OFFLINE_ACCESS, STANDARD};
use crate::env::Timestamp;

/// Documents that are remembered; with their size it bounds the memory.
const MOST: u64 = 1_000;
/// §6.6 recommends 5 KB.
const MOST_BYTES: usize = 32 * 1024;
/// Seconds that a document is kept where its answer does not say.
const USUAL: i64 = 3600;
const SHORTEST: i64 = 60;
const LONGEST: i64 = 86_400;

/// Cheap to clone.
#[derive(Clone)]
pub struct ClientDocuments {
    /// Whether the settings let clients be known in this way.
    on: bool,
    known: Cache<ClientId, Arc<Mutex<Kept>>>,
}

/// What is known of one address.
#[derive(Default)]
struct Kept {
    until: Option<Timestamp>,
    /// None where the document is not there or wrong.
    document: Option<(ClientMetadata, Timestamp)>,
    /// As the client of the document is while these are the APIs.
    client: Option<(Arc<Vec<Api>>, Arc<Client>)>,
}

impl ClientDocuments {
    pub fn new(on: bool) -> Self {
        Self { on, known: Cache::new(MOST) }
    }

    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.on
    }
}

/// §3: with a path, and written as it is read (no dot segments, no port that goes without saying, a host in lower case);
/// user names, queries and fragments have signs that no client id has. Where http is spoken is the guarded client's rule.
fn is_address(id: &ClientId) -> bool {
    let reads_the_same = |url: Url| url.as_str() == id.as_str() && url.host().is_some();
    id.is_web_address() && Url::parse(id.as_str()).is_ok_and(reads_the_same)
}

impl Provider {
    /// The client of that address, where its document says so.
    pub(super) async fn documented_client(&self, id: &ClientId) -> Result<Option<Arc<Client>>> {
        if !self.client_documents.on || !is_address(id) {
            return Ok(None);
        }
        let apis = self.store.authority().apis(&self.store).await?;
        let kept = self.client_documents.known.get_with_by_ref(id, Arc::default);
        let mut kept = kept.lock().await;
        let now = self.env.now();
        if kept.until.is_none_or(|until| now >= until) {
            kept.client = None;
            let (document, seconds) = match self.fetch_document(id).await {
                Ok((meta, seconds)) => (Some((meta, now)), seconds),
                Err(problem) => {
                    tracing::warn!(client = %id, problem, "a client's metadata document cannot be used");
                    (None, SHORTEST)
                }
            };
            kept.document = document;
            kept.until = Some(now.plus_seconds(seconds));
        }
        if let Some((of, client)) = &kept.client
            && Arc::ptr_eq(of, &apis)
        {
            return Ok(Some(client.clone()));
        }
        let Some((meta, read_at)) = &kept.document else { return Ok(None) };
        let mut meta = meta.clone();
        let renews = meta.allows(GrantType::RefreshToken);
        let standard = STANDARD.into_iter().filter(|scope| *scope != OFFLINE_ACCESS || renews);
        meta.scope = standard.chain(apis.iter().flat_map(|api| api.scopes.iter())).collect();
        let client = Arc::new(Client::of_document(id.clone(), meta, *read_at));
        kept.client = Some((apis, client.clone()));
        Ok(Some(client))
    }

    /// The client that something was issued to: nothing is fetched for it, since what was issued does not depend on
    /// whether the document is still there.
    pub(super) async fn issued_to(&self, id: &ClientId) -> Result<Option<Arc<Client>>> {
        let stored = self.store.authority().client(&self.store, id).await?;
        let documented =
            || (self.client_documents.on && is_address(id)).then(|| Arc::new(Client::of_address(id.clone())));
        Ok(stored.or_else(documented))
    }

    async fn fetch_document(&self, id: &ClientId) -> std::result::Result<(ClientMetadata, i64), String> {
        let fetched = self.outbound.get(id.as_str(), "application/json").await.map_err(|error| error.to_string())?;
        let kind = fetched.content_type.unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json")) {
            return Err("it is not served as JSON".to_owned());
        }
        if fetched.body.len() > MOST_BYTES {
            return Err("it has more than 32 KiB".to_owned());
        }
        let meta = read(id, &fetched.body).map_err(|error: OAuthError| error.description.into_owned())?;
        Ok((meta, fetched.max_age.unwrap_or(USUAL).clamp(SHORTEST, LONGEST)))
    }
}

/// What a document says of the client, all but the scopes.
fn read(id: &ClientId, json: &[u8]) -> Result<ClientMetadata> {
    let mut members = registration::members(json)?;
    // §4.1: to the letter, so that nobody's document speaks for another address.
    if members.get("client_id").and_then(Value::as_str) != Some(id.as_str()) {
        return Err(registration::wrong("client_id", "is not the address of the document"));
    }
    if members.contains_key("client_secret") {
        return Err(registration::wrong("client_secret", "stands in a public document"));
    }
    // What it may ask for is said here, and its subjects are public: they outlive the document.
    for name in ["scope", "subject_type", "sector_identifier_uri"] {
        members.remove(name);
    }
    members.entry("token_endpoint_auth_method").or_insert(json!("none"));
    // A document is written for every server at once: what is of no use here is passed over.
    keep(&mut members, "grant_types", &["authorization_code", "refresh_token"]);
    keep(&mut members, "response_types", &["code"]);
    let mut meta = registration::metadata(members)?;
    meta.require_pkce = true;
    if let Some(problem) = meta.problems().into_iter().next() {
        return Err(registration::wrong(problem.field, &problem.message));
    }
    if !meta.allows(GrantType::AuthorizationCode) {
        return Err(registration::wrong("grant_types", "has no authorization_code"));
    }
    if meta.has_secret() {
        return Err(registration::wrong("token_endpoint_auth_method", "needs a secret: it is none or private_key_jwt"));
    }
    Ok(meta)
}

fn keep(members: &mut Map<String, Value>, name: &str, useful: &[&str]) {
    if let Some(Value::Array(values)) = members.get_mut(name) {
        values.retain(|value| value.as_str().is_none_or(|value| useful.contains(&value)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{is_address, read};
    use crate::domain::client_metadata::ClientAuthMethod;
    use crate::domain::ids::ClientId;

    const ID: &str = "https://app.example.com/oauth/client.json";

    #[test]
    fn which_ids_are_addresses() {
        for (id, fits) in [
            (ID, true),
            ("https://app.example.com/", true),
            ("https://app.example.com:8443/client", true),
            ("http://127.0.0.1:9999/client", true),
            ("https://app.example.com", false),
            ("https://app.example.com:443/client", false),
            ("https://APP.example.com/client", false),
            ("https://app.example.com/a/../client", false),
            ("https://app.example.com/./client", false),
            ("https://0x7f.1/client", false),
            ("https:app.example.com/client", false),
            ("https:///app.example.com/client", false),
            ("HTTPS://app.example.com/client", false),
            ("ftp://app.example.com/client", false),
            ("web", false),
            ("urn:app:client", false),
        ] {
            assert_eq!(is_address(&ClientId::parse(id).unwrap()), fits, "{id}");
        }
        for never in ["https://user@app.example.com/c", "https://app.example.com/c?a=b", "https://app.example.com/c#d"]
        {
            assert!(ClientId::parse(never).is_err(), "{never}");
        }
    }

    #[test]
    fn what_a_document_says() {
        let document = |changes: Value| {
            let mut all = json!({ "client_id": ID, "redirect_uris": ["https://app.example.com/cb"] });
            all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            read(&ClientId::parse(ID).unwrap(), all.to_string().as_bytes())
        };
        let usual = document(json!({ "client_name": "App", "what": { "ever": true }, "scope": "admin" })).unwrap();
        assert!(usual.token_endpoint_auth_method == ClientAuthMethod::None && usual.require_pkce);
        assert!(!usual.scope.contains("admin"));
        let device = "urn:ietf:params:oauth:grant-type:device_code";
        for good in [
            json!({ "grant_types": ["authorization_code", "refresh_token", device, "what.ever"] }),
            json!({ "response_types": ["code", "code id_token"] }),
            json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.example.com/jwks" }),
            json!({ "subject_type": "pairwise", "consent": "trusted", "logo_uri": null }),
        ] {
            assert!(document(good.clone()).is_ok(), "{good}");
        }
        for bad in [
            json!({ "client_id": "https://app.example.com/oauth/other.json" }),
            json!({ "client_id": "https://app.example.com/oauth/client.jso" }),
            json!({ "client_id": null }),
            json!({ "client_id": [ID] }),
            json!({ "redirect_uris": [] }),
            json!({ "redirect_uris": null }),
            json!({ "redirect_uris": ["http://app.example.com/cb"] }),
            json!({ "client_secret": "0123456789012345678901234567890123456789" }),
            json!({ "token_endpoint_auth_method": "client_secret_basic" }),
            json!({ "token_endpoint_auth_method": "client_secret_jwt" }),
            json!({ "token_endpoint_auth_method": "private_key_jwt" }),
            json!({ "id_token_signed_response_alg": "HS256" }),
            json!({ "grant_types": ["client_credentials"] }),
            json!({ "grant_types": "authorization_code" }),
            json!({ "logo_uri": "javascript:alert(1)" }),
        ] {
            assert!(document(bad.clone()).is_err(), "{bad}");
        }
    }
}
