//! Clients whose id is the https URL of their metadata (draft-ietf-oauth-client-id-metadata-document-01), without
//! registration.
//!
//! The document is fetched when it is first needed, checked, and cached as long as the response allows, within bounds.
//! There is one fetch at a time per URL; its result, even a failure, answers every request that waited for it. Slow
//! hosts do not delay the documents of other clients: the fetches share a budget in which slow ones make room
//! (`outbound::budget`).
//!
//! A known document is refreshed in the background, and remains valid for a day at most while its host is unreachable.
//! If there is no document and the host or its name cannot be reached, or the budget is exhausted, that is not the
//! client's fault: the response is 503 with `Retry-After`.
//!
//! No administrator has vetted such a client: it has no secret (§4.1), PKCE is required and the user is always asked.
//! It may request the APIs that accept unregistered clients (`self_registered_clients`), as MCP servers do.
//!
//! If the document disappears or becomes invalid, nothing new is issued, not even by a refresh token. Tokens issued
//! earlier stay valid until they expire, and can be revoked.
//!
//! See also: [`super::registration`], which defines the members of the document; [`super::client`], the lookup of
//! clients.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moka::sync::Cache;
use serde_json::{Map, Value, json};
use tokio::sync::OwnedMutexGuard;
use url::Url;

use super::error::{ErrorCode, OAuthError, Result};
use super::registration::Policy;
use super::registration::redirects::VouchedRedirects;
use super::{Provider, registration};
use crate::domain::client::Client;
use crate::domain::client_metadata::{ClientMetadata, GrantType};
use crate::domain::ids::ClientId;
use crate::domain::scope::{OFFLINE_ACCESS, Scopes};
use crate::domain::web_address::WebPage;
use crate::env::Timestamp;
use crate::keys::remote::REFRESH_WAIT_TIMEOUT;
use crate::outbound::{OutboundError, Purpose, UrlSource};
use crate::store::consents;

/// The maximum number of cached documents. With their maximum size it bounds the memory.
const MAX_DOCUMENTS: u64 = 1_000;
/// The seconds that a document is cached if its response does not specify it.
const DEFAULT_TTL: i64 = 3600;
const MIN_TTL: i64 = 60;
const MAX_TTL: i64 = 86_400;
/// The seconds before a failed fetch is repeated. §4.3 forbids caching errors: no error is cached here, but a failing
/// host is not asked again for each request that an attacker sends.
const RETRY_INTERVAL: i64 = 10;
/// The seconds before a fetch is repeated that the budget did not allow.
const BUSY_RETRY_INTERVAL: i64 = 2;

/// The cache of metadata documents; cheap to clone.
#[derive(Clone)]
pub struct ClientDocumentCache {
    /// What such clients may request; `None` if the settings disable metadata documents.
    policy: Option<Policy>,
    slots: Cache<ClientId, Arc<DocumentSlot>>,
}

/// The cache entry of one URL.
#[derive(Default)]
struct DocumentSlot {
    state: Mutex<DocumentState>,
    /// Locked during a fetch.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl DocumentSlot {
    /// A poisoned lock is recovered: a panic leaves no partial write in the state.
    fn lock_state(&self) -> MutexGuard<'_, DocumentState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cached state of one URL.
#[derive(Default)]
struct DocumentState {
    /// The number of fetches so far.
    fetches: u64,
    /// When to fetch again; `None` before the first fetch.
    until: Option<Timestamp>,
    /// The document, and when it was fetched.
    document: Option<(ClientMetadata, Timestamp)>,
    /// Whether the last response of the host was that there is no document, or an invalid document.
    is_gone: bool,
    /// The client of the document.
    client: Option<Arc<Client>>,
}

/// Why no document is available.
enum DocumentFetchError {
    /// The budget of this server is exhausted: the host was not asked, or the fetch was cut short.
    Busy,
    /// The host is unreachable, perhaps temporarily.
    Unreachable(String),
    /// The document no longer exists or is invalid.
    Gone(String),
}

impl ClientDocumentCache {
    pub fn new(policy: Option<Policy>) -> Self {
        Self { policy, slots: Cache::new(MAX_DOCUMENTS) }
    }

    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.policy.is_some()
    }
}

/// Returns whether the client id is a valid URL of a document (§2): with a path, and in normalized form (no dot
/// segments, no default port, a lower-case host).
///
/// User names, queries and fragments contain characters that no client id has. The guarded HTTP client decides where
/// plain http is allowed.
fn is_address(id: &ClientId) -> bool {
    let reads_the_same = |url: Url| url.as_str() == id.as_str() && url.host().is_some();
    id.is_web_address() && Url::parse(id.as_str()).is_ok_and(reads_the_same)
}

impl Provider {
    /// Returns the client of that URL, if its document is valid.
    pub(super) async fn client_from_document(&self, id: &ClientId) -> Result<Option<Arc<Client>>> {
        let Some(policy) = self.client_documents.policy.as_ref().filter(|_| is_address(id)) else { return Ok(None) };
        let slot = self.client_documents.slots.get_with_by_ref(id, Arc::default);
        let now = self.env.now();
        self.fetch_if_due(id, &slot, now).await;
        let mut kept = slot.lock_state();
        match kept.client(id, policy.scopes(), now) {
            None if !kept.is_gone => {
                let text = "The client's metadata document cannot be fetched now. Try again in a moment.";
                Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, text))
            }
            client => Ok(client),
        }
    }

    /// Fetches a document that is due, in a separate task, so that a cancelled caller does not cancel the fetch. For a
    /// known document, it waits only as long as a prompt host needs to respond.
    async fn fetch_if_due(&self, id: &ClientId, slot: &Arc<DocumentSlot>, now: Timestamp) {
        let (arrived_at, is_known) = {
            let kept = slot.lock_state();
            if !kept.is_due(now) {
                return;
            }
            (kept.fetches, kept.document_at(now).is_some())
        };
        let turn =
            if is_known { slot.turn.clone().try_lock_owned().ok() } else { Some(slot.turn.clone().lock_owned().await) };
        let Some(turn) = turn.filter(|_| slot.lock_state().fetches == arrived_at) else { return };
        let fetch = tokio::spawn(self.clone().refresh_document(id.clone(), slot.clone(), turn, now));
        // The task does not fail; if it did, there would be no document.
        if is_known {
            tokio::time::timeout(REFRESH_WAIT_TIMEOUT, fetch).await.ok();
        } else {
            fetch.await.ok();
        }
    }

    async fn refresh_document(self, id: ClientId, slot: Arc<DocumentSlot>, _turn: OwnedMutexGuard<()>, now: Timestamp) {
        let fetched = self.fetch_document(&id).await;
        slot.lock_state().take(&id, fetched, now);
    }

    /// Returns the client that something was issued to, without fetching its document: what was issued does not depend
    /// on whether the document still exists.
    pub async fn client_without_fetch(&self, id: &ClientId) -> Result<Option<Arc<Client>>> {
        if let Some(stored) = self.store.authority().client(&self.store, id).await? {
            return Ok(Some(stored));
        }
        let Some(policy) = self.client_documents.policy.as_ref().filter(|_| is_address(id)) else { return Ok(None) };
        let mut client = Client::from_address(id.clone());
        client.meta.grant_types = vec![GrantType::AuthorizationCode, GrantType::RefreshToken];
        client.meta.scope = policy.scopes().clone();
        Ok(Some(Arc::new(client)))
    }

    /// Returns whether this server may redirect a browser to the client before it has shown a page.
    ///
    /// It may not for a client that no administrator registered and that no user has allowed anything: its creator
    /// could use this server as an open redirector (RFC 9700 §4.11.2).
    pub(super) async fn can_redirect_without_page(&self, client: &Client) -> Result<bool> {
        if client.is_verified() {
            return Ok(true);
        }
        Ok(consents::has_any(self.store.read(), &client.id).await?)
    }

    async fn fetch_document(&self, id: &ClientId) -> std::result::Result<(ClientMetadata, i64), DocumentFetchError> {
        let outbound = self.outbound.for_purpose(Purpose::ClientDocuments).named_by(UrlSource::Anonymous);
        let fetched = outbound.get(id.as_str(), "application/json").await.map_err(|error| match error {
            OutboundError::Busy => DocumentFetchError::Busy,
            error if error.is_temporary() => DocumentFetchError::Unreachable(error.to_string()),
            error => DocumentFetchError::Gone(error.to_string()),
        })?;
        let kind = fetched.content_type.unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json")) {
            return Err(DocumentFetchError::Gone("it is not served as JSON".to_owned()));
        }
        let redirects = self.client_documents.policy.as_ref().map(Policy::redirects).cloned().unwrap_or_default();
        let meta = read(id, &fetched.body, &redirects)
            .map_err(|error| DocumentFetchError::Gone(error.description.into_owned()))?;
        Ok((meta, fetched.max_age.unwrap_or(DEFAULT_TTL).clamp(MIN_TTL, MAX_TTL)))
    }
}

impl DocumentState {
    fn is_due(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// Returns the document for a day after it was fetched, whatever the result of later fetches.
    fn document_at(&self, now: Timestamp) -> Option<&(ClientMetadata, Timestamp)> {
        self.document.as_ref().filter(|(_, read_at)| now < read_at.plus_seconds(MAX_TTL))
    }

    /// Stores the result of a fetch. An unreachable host does not invalidate the known document; a deleted or invalid
    /// document does.
    fn take(
        &mut self,
        id: &ClientId,
        fetched: std::result::Result<(ClientMetadata, i64), DocumentFetchError>,
        now: Timestamp,
    ) {
        self.fetches += 1;
        let (seconds, problem, is_gone) = match fetched {
            Ok((meta, seconds)) => {
                (self.document, self.client, self.is_gone) = (Some((meta, now)), None, false);
                self.until = Some(now.plus_seconds(seconds));
                return;
            }
            Err(DocumentFetchError::Busy) => {
                (BUSY_RETRY_INTERVAL, "there is no room for one more request".to_owned(), false)
            }
            Err(DocumentFetchError::Unreachable(problem)) => (RETRY_INTERVAL, problem, false),
            Err(DocumentFetchError::Gone(problem)) => {
                (self.document, self.client) = (None, None);
                (RETRY_INTERVAL, problem, true)
            }
        };
        tracing::warn!(client = %id, problem, "a client's metadata document cannot be used");
        self.until = Some(now.plus_seconds(seconds));
        self.is_gone = is_gone;
    }

    fn client(&mut self, id: &ClientId, scopes: &Scopes, now: Timestamp) -> Option<Arc<Client>> {
        let (meta, read_at) = self.document_at(now)?;
        if let Some(client) = &self.client {
            return Some(client.clone());
        }
        let mut meta = meta.clone();
        let renews = meta.allows(GrantType::RefreshToken);
        meta.scope = scopes.filtered(|scope| scope != OFFLINE_ACCESS || renews);
        let client = Arc::new(Client::from_document(id.clone(), meta, *read_at));
        self.client = Some(client.clone());
        Some(client)
    }
}

/// Parses a document into client metadata, except for the scopes.
fn read(id: &ClientId, json: &[u8], redirects: &VouchedRedirects) -> Result<ClientMetadata> {
    let wrong = registration::wrong;
    let mut members = registration::read::members(json)?;
    // §4.1: the comparison is exact, so that a document cannot speak for another URL.
    if members.get("client_id").and_then(Value::as_str) != Some(id.as_str()) {
        return Err(wrong("client_id", "is not the address of the document."));
    }
    for name in ["client_secret", "client_secret_expires_at"] {
        if members.contains_key(name) {
            return Err(wrong(name, "stands in a public document."));
        }
    }
    // Some members are ignored. The server's settings decide the scopes; the subjects are public, since they outlive
    // the document; and the document does not configure logout, which happens without a user's consent.
    for name in [
        "scope",
        "subject_type",
        "sector_identifier_uri",
        "backchannel_logout_uri",
        "backchannel_logout_session_required",
        "frontchannel_logout_uri",
        "frontchannel_logout_session_required",
    ] {
        members.remove(name);
    }
    // Invalid members that are only displayed are dropped instead of refusing the client.
    for name in ["logo_uri", "client_uri", "policy_uri", "tos_uri"] {
        let shown = members.get(name).and_then(Value::as_str).map(WebPage::parse);
        if !matches!(shown, Some(Ok(page)) if page.is_https()) {
            members.remove(name);
        }
    }
    members.entry("token_endpoint_auth_method").or_insert(json!("none"));
    // A document is written for all servers at once, so values that this server does not support are ignored.
    retain_known_values(&mut members, "grant_types", &["authorization_code", "refresh_token"]);
    retain_known_values(&mut members, "response_types", &["code"]);
    let meta = loop {
        let mut meta = registration::read::metadata(members.clone())?;
        meta.require_pkce = true;
        redirects.narrow(&mut meta, None)?;
        let Some(rule) = meta.problems().into_iter().next() else { break meta };
        if !registration::read::can_be_dropped(rule.field) || members.remove(rule.field).is_none() {
            return Err(registration::broken(&rule));
        }
    };
    if !meta.allows(GrantType::AuthorizationCode) {
        return Err(wrong("grant_types", "has no authorization_code."));
    }
    if meta.has_secret() {
        return Err(wrong("token_endpoint_auth_method", "needs a secret: it is none or private_key_jwt."));
    }
    Ok(meta)
}

fn retain_known_values(members: &mut Map<String, Value>, name: &str, useful: &[&str]) {
    if let Some(Value::Array(values)) = members.get_mut(name) {
        values.retain(|value| value.as_str().is_none_or(|value| useful.contains(&value)));
    }
}

#[cfg(test)]
mod tests;
