//! The cache of access tokens that this node has verified, so that signatures need not be verified again. Expiry, the
//! groups of the user and revocations are checked each time. A token is verified again when keys, APIs or its clients
//! have changed.
//!
//! Only JWTs are cached. An opaque token is a row, which must be read to know that it is active. See also:
//! [`super::access_token`].

use std::sync::Arc;

use moka::sync::Cache;

use super::Provider;
use super::access_token::VerifiedToken;
use super::error::Result;
use crate::domain::secret::{Digest, SecretKind};

/// The maximum number of cached tokens, of some hundred bytes each.
const MAX_TOKENS: u64 = 10_000;

#[derive(Clone)]
pub struct TokenCache(Cache<[u8; 32], CachedToken>);

#[derive(Clone)]
struct CachedToken {
    verified: Arc<VerifiedToken>,
    /// The value of `Keyring::generation` before the verification.
    keys: u64,
    /// The generation of the APIs to which the permissions were narrowed.
    apis: u64,
    /// The number of changes of its client and the clients in its exchange chain before the verification.
    clients: u64,
}

impl Default for TokenCache {
    fn default() -> Self {
        Self(Cache::new(MAX_TOKENS))
    }
}

impl Provider {
    /// Returns the same as [`Provider::verify_access_token`], from the cache if possible.
    pub async fn verify_access_token_cached(&self, token: &str) -> Result<Option<Arc<VerifiedToken>>> {
        if token.starts_with(SecretKind::AccessToken.prefix()) {
            return Ok(self.verify_access_token(token).await?.map(Arc::new));
        }
        let authority = self.store.authority();
        let (keys, apis, changes) = (self.keys.generation(), authority.api_epoch(), authority.client_changes());
        let clients = |token: &VerifiedToken| {
            let of = &token.authorization;
            changes.of(std::iter::once(&of.client).chain(&of.through))
        };
        let Digest(digest) = SecretKind::AccessToken.digest(token);
        if let Some(seen) = self.seen_tokens.0.get(&digest)
            && (seen.keys, seen.apis, seen.clients) == (keys, apis, clients(&seen.verified))
        {
            let stands = self.is_cached_token_active(&seen.verified)
                && self.is_still_admitted(&seen.verified.authorization).await?;
            return Ok(Some(seen.verified).filter(|_| stands));
        }
        let verified = self.verify_access_token(token).await?.map(Arc::new);
        if let Some(verified) = &verified {
            let clients = clients(verified);
            self.seen_tokens.0.insert(digest, CachedToken { verified: verified.clone(), keys, apis, clients });
        }
        Ok(verified)
    }

    fn is_cached_token_active(&self, token: &VerifiedToken) -> bool {
        token.expires_at.seconds() > self.env.now().seconds() && self.is_active(token)
    }
}
