//! Client secrets, of which an imported one may be short enough to be guessed: wrong ones for it are counted. Ours have 256
//! bits and need no limit, by which a stranger could lock an app out.
//!
//! Past the limit of an address only the secret counts from there that was right from there before, so that a client in use
//! is not locked out by others behind its address. Next door: [`super::client_auth`].

use moka::sync::Cache;

use super::Provider;
use super::error::{OAuthError, Result};
use crate::domain::client::{Client, ClientSecretAtRest};
use crate::domain::network_prefix::network_prefix;
use crate::domain::secret::Secret;
use crate::identity::throttle;
use crate::keys::master::MacPurpose;

/// Short secrets that were right, each as it came from one address: by a MAC under a key of this server.
#[derive(Clone)]
pub struct VerifiedSecretCache(Cache<[u8; 32], ()>);

impl Default for VerifiedSecretCache {
    fn default() -> Self {
        Self(Cache::new(10_000))
    }
}

impl Provider {
    /// Whether the secret that came from `address` is the client's; as much work where there is no client.
    pub(super) async fn check_client_secret(
        &self,
        client: Option<&Client>,
        presented: &Secret,
        address: &str,
    ) -> Result<bool> {
        let kept = client.and_then(|client| client.secret.as_ref());
        let is_right = || self.master.verify_client_secret(kept, presented.expose());
        let Some(client) = client.filter(|_| kept.is_some_and(ClientSecretAtRest::is_short)) else {
            return Ok(is_right());
        };
        let network = network_prefix(address);
        let parts = [client.id.as_str(), &network, presented.expose()].map(str::as_bytes);
        let here = self.master.mac(MacPurpose::ClientSecret, &parts);
        if self.right_secrets.0.contains_key(&here) {
            return Ok(is_right());
        }
        let Ok(counted) = throttle::count_client_secret(&self.store, &client.id, address).await? else {
            let text = "Too many wrong secrets of this client came from this address. Try again in 15 minutes.";
            return Err(OAuthError::too_many(text).with_cause(format!("{}: too many wrong secrets", client.id)));
        };
        if !is_right() {
            return Ok(false);
        }
        self.right_secrets.0.insert(here, ());
        throttle::take_back(&self.store, counted).await?;
        Ok(true)
    }
}
