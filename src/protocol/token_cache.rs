//! Access tokens that this node has verified before: what a signature has said once it need not say again. Expiry,
//! the groups of its user and everything that can be revoked are asked each time; a token is verified anew when keys, APIs or its clients have
//! changed.
//!
//! JWTs alone. An opaque token is a row, which is what says that it is good. Next door: [`super::access_token`].

use std::sync::Arc;

use moka::sync::Cache;

use super::Provider;
use super::access_token::VerifiedToken;
use super::error::Result;
use crate::domain::secret::{Digest, SecretKind};

/// Some hundred bytes each.
const MAX_TOKENS: u64 = 10_000;

#[derive(Clone)]
pub struct TokenCache(Cache<[u8; 32], CachedToken>);

#[derive(Clone)]
struct CachedToken {
    verified: Arc<VerifiedToken>,
    /// `Keyring::generation` from before it was verified.
    keys: u64,
    /// As the APIs were that its permissions were narrowed to.
    apis: u64,
    /// How often its client, and those through which it came, had changed before it was verified.
    clients: u64,
}

impl Default for TokenCache {
    fn default() -> Self {
        Self(Cache::new(MAX_TOKENS))
    }
}

impl Provider {
    /// The same as [`Provider::verify_access_token`].
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
