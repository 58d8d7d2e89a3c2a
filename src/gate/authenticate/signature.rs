//! Authenticates HTTP Message Signatures (RFC 9421), MACs and digital signatures, by keys that a client is registered
//! with or publishes itself. The package `signet-signatures` defines which parameters and components a signature must
//! have. The body is compared with its digest (RFC 9530) behind the gate, because a proxy does not forward it to the
//! gate.
//!
//! A nonce is claimed only after the signature is verified, so a third party cannot use up a client's nonce.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use signet_signatures::{Algorithm, Error, ErrorKind, Policy, Request, Signatures, VerifyingKey};

use super::{AuthenticationError, AuthenticationResult, acts_for_itself, client_identity, invalid};
use crate::domain::api::Api;
use crate::domain::client::Client;
use crate::domain::gate::CredentialKind;
use crate::domain::ids::ClientId;
use crate::domain::secret::Digest;
use crate::domain::signature_key::{KeyId, KeyMaterial};
use crate::gate::Gate;
use crate::gate::decision::{Denial, Reason};
use crate::gate::forwarded_request::ForwardedRequest;
use crate::gate::headers::Headers;
use crate::keys::remote::KeyQuery;
use crate::protocol::client_keys::ClientKeysError;
use crate::protocol::error::Result;

/// The maximum number of colons at which `client_id:kid` is split; either half may contain colons.
const MAX_COLONS: usize = 4;

/// The maximum clock difference between nodes in seconds. A nonce is kept that much longer than its signature is valid.
pub(super) const NODE_CLOCK_SKEW_SECONDS: i64 = 60;

fn denied(error: &Error) -> AuthenticationError {
    let reason = match error.kind() {
        ErrorKind::Malformed => Reason::MalformedCredential,
        ErrorKind::Unverified => Reason::InvalidCredential,
    };
    match error {
        // The same text as for an unknown key.
        Error::NotVerified | Error::Algorithm => invalid(),
        error => AuthenticationError::Denied(Denial::new(reason, format!("The message signature: {error}."))),
    }
}

/// Returns the digest under which a nonce is claimed. Each key has its own nonces.
pub(super) fn once(kind: &str, keyid: &str, nonce: &str) -> Digest {
    let mut hash = Sha256::new();
    for part in [kind, keyid, nonce] {
        hash.update(part);
        // The zero byte separates the parts; none of them contains it.
        hash.update([0]);
    }
    Digest(hash.finalize().into())
}

impl Gate {
    pub(super) async fn authenticate_signature(
        &self,
        api: &Api,
        original: &ForwardedRequest,
        fields: &Headers<'_>,
    ) -> Result<AuthenticationResult> {
        let now = self.provider.env.now();
        let read = read(original, fields);
        let (request, signatures) = match &read {
            Ok((request, signatures)) => (request, signatures),
            Err(error) => return Ok(Err(denied(error))),
        };
        let checked = signatures.only().and_then(|signature| {
            let signature = signature.ok_or(Error::Needs("keyid"))?;
            Policy::default().check(signature, request, now.seconds())
        });
        let checked = match checked {
            Ok(checked) => checked,
            Err(error) => return Ok(Err(denied(&error))),
        };
        let (client, key) = match self.signer(checked.keyid()).await {
            Ok(Some(signer)) => signer,
            Ok(None) => return Ok(Err(denied(&checked.without_key(request)))),
            Err(error) => return Ok(Err(AuthenticationError::Unavailable(error))),
        };
        if let Err(error) = checked.verify(request, &key) {
            return Ok(Err(denied(&error)));
        }
        let name = once("message signature", checked.keyid(), checked.nonce());
        let until = now.plus_seconds(checked.good_until() - now.seconds() + NODE_CLOCK_SKEW_SECONDS);
        if !self.provider.store.use_once(name, until).await? {
            let text = "The message signature was used before: its nonce is good once.";
            return Ok(Err(AuthenticationError::Denied(Denial::new(Reason::InvalidCredential, text))));
        }
        Ok(Ok(client_identity(CredentialKind::MessageSignature, api, &client)))
    }

    /// Returns the enabled client that has a key of that name, and the key.
    async fn signer(&self, keyid: &str) -> Result<Option<(Arc<Client>, VerifyingKey)>> {
        let (provider, store) = (&self.provider, &self.provider.store);
        let Ok(name) = KeyId::try_from(keyid.to_owned()) else { return Ok(None) };
        if let Some(owner) = store.authority().signer(store, &name).await? {
            let client = store.authority().client(store, &owner).await?.filter(|client| !client.disabled);
            let Some(client) = client else { return Ok(None) };
            let Some(kept) = client.signature_keys.iter().find(|key| key.keyid == name) else { return Ok(None) };
            let key = self.signature_keys.verifying_key(&provider.master, &name, Some(kept.alg), &kept.material);
            return Ok(key.map(|key| (client, key)));
        }
        self.find_publisher(&name).await
    }

    /// Returns the client that publishes the key named `client_id:kid`, and the key.
    async fn find_publisher(&self, name: &KeyId) -> Result<Option<(Arc<Client>, VerifyingKey)>> {
        let (provider, store) = (&self.provider, &self.provider.store);
        let text = name.as_str();
        for (at, _) in text.rmatch_indices(':').take(MAX_COLONS) {
            let (id, kid) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
            let Ok(id) = ClientId::parse(id) else { continue };
            let client = store.authority().client(store, &id).await?.filter(|client| acts_for_itself(client));
            let Some(client) = client else { continue };
            let keys = match provider.client_keys(&client, KeyQuery::Kid(kid)).await {
                Ok(keys) => keys,
                Err(ClientKeysError::Unusable(_)) => continue,
                Err(ClientKeysError::Unavailable(error)) => return Err(error),
            };
            let named = keys.keys().filter(|key| key.get("kid").and_then(|it| it.as_str()) == Some(kid));
            let ready = |key: &serde_json::Map<_, _>| {
                self.signature_keys.verifying_key(&provider.master, name, None, &KeyMaterial::Jwk(key.clone()))
            };
            let mut keys = named.filter_map(ready).filter(|key| key.algorithm() != Algorithm::HmacSha256);
            if let (Some(key), None) = (keys.next(), keys.next()) {
                return Ok(Some((client, key)));
            }
        }
        Ok(None)
    }
}

fn read<'a>(
    original: &'a ForwardedRequest,
    fields: &Headers<'a>,
) -> signet_signatures::Result<(Request<'a>, Signatures)> {
    let request = Request::new(&original.method, &original.scheme, &original.host, &original.target)?;
    let request = request.with_fields(fields.0.iter().copied())?;
    let signatures = Signatures::of(&request)?.ok_or(Error::Needs("keyid"))?;
    signet_signatures::ContentDigest::of(&request)?;
    Ok((request, signatures))
}
