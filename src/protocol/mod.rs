//! OAuth 2.0 and OpenID Connect: what is decided, one room a spec. No HTTP, no SQL.
//!
//! [`Provider`] holds what every room needs. Next door: `web::oauth`, which parses requests, calls in here and renders
//! what comes back; `store`, which keeps it.

pub mod access_token;
pub mod authorize;
pub mod backchannel_logout;
pub mod basic_credentials;
pub mod bearer;
pub mod claims;
pub mod client;
pub mod client_access;
pub mod client_assertion;
pub mod client_auth;
pub mod client_document;
pub mod client_keys;
pub mod client_secret_throttle;
pub mod device;
pub mod discovery;
pub mod error;
pub mod frontchannel_logout;
pub mod id_token;
pub mod introspection;
pub mod logout;
pub mod mtls;
pub mod parameters;
pub mod pkce;
pub mod registration;
pub mod resource;
pub mod resource_metadata;
pub mod revocation;
pub mod session_management;
pub mod subject;
pub mod token;
pub mod token_cache;
pub mod userinfo;

use std::sync::Arc;

use crate::config::{Issuer, Lifetimes, SignUpMode};
use crate::env::Env;
use crate::keys::remote::RemoteKeys;
use crate::keys::{Keyring, MasterKey};
use crate::outbound::OutboundClient;
use crate::store::Store;
use client_document::ClientDocumentCache;
use client_secret_throttle::VerifiedSecretCache;
use token_cache::TokenCache;

/// What the protocol works with; cheap to clone.
#[derive(Clone)]
pub struct Provider {
    pub issuer: Issuer,
    pub lifetimes: Arc<Lifetimes>,
    /// Whether `prompt=create` has a page.
    pub sign_up: SignUpMode,
    pub env: Env,
    pub store: Store,
    pub keys: Keyring,
    /// Those that clients publish.
    pub remote_keys: RemoteKeys,
    pub client_documents: ClientDocumentCache,
    pub seen_tokens: TokenCache,
    pub right_secrets: VerifiedSecretCache,
    /// For what strangers name.
    pub outbound: OutboundClient,
    pub master: MasterKey,
}

impl Provider {
    /// # Errors
    /// Where this node has not heard for too long what others have revoked: it says yes to nothing.
    pub async fn check_revocations_fresh(&self) -> error::Result<()> {
        if self.store.authority().is_fresh(&self.store).await {
            return Ok(());
        }
        let cause = "what other nodes have revoked is not known: the change feed cannot be read";
        let code = error::ErrorCode::TemporarilyUnavailable;
        Err(error::OAuthError::new(code, "Try again in a moment.").with_cause(cause))
    }
}
