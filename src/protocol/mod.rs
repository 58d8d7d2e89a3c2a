//! The decisions of OAuth 2.0 and OpenID Connect, one module per specification. This layer contains no HTTP and no SQL.
//!
//! [`Provider`] contains what every module needs. See also: `web::oauth`, which parses requests, calls this layer and
//! renders its results; `store`, which persists the state.

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

/// The shared state of the protocol layer; cheap to clone.
#[derive(Clone)]
pub struct Provider {
    pub issuer: Issuer,
    pub lifetimes: Arc<Lifetimes>,
    /// Whether and how users can sign up, and so whether `prompt=create` is supported.
    pub sign_up: SignUpMode,
    pub env: Env,
    pub store: Store,
    pub keys: Keyring,
    /// The published keys of clients and trusted issuers.
    pub remote_keys: RemoteKeys,
    pub client_documents: ClientDocumentCache,
    pub seen_tokens: TokenCache,
    pub right_secrets: VerifiedSecretCache,
    /// The guarded HTTP client, for URLs that clients specify.
    pub outbound: OutboundClient,
    pub master: MasterKey,
}

impl Provider {
    /// Checks that this node knows the recent revocations of the other nodes.
    ///
    /// # Errors
    /// If the change feed has been unreadable for too long. The node must then not accept any token or session.
    pub async fn check_revocations_fresh(&self) -> error::Result<()> {
        if self.store.authority().is_fresh(&self.store).await {
            return Ok(());
        }
        let cause = "what other nodes have revoked is not known: the change feed cannot be read";
        let code = error::ErrorCode::TemporarilyUnavailable;
        Err(error::OAuthError::new(code, "Try again in a moment.").with_cause(cause))
    }
}
