//! Signs and encrypts for a client by its registered algorithms (OpenID Connect Core §10), and looks up the keys that
//! verify the client's own signatures.
//!
//! See also: `keys::client_jws` and `keys::encryption`, which implement the cryptography; `keys::remote`, keys at a
//! `jwks_uri`.

use std::sync::Arc;

use serde::Serialize;

use super::Provider;
use super::error::{ErrorCode, OAuthError, Result};
use crate::domain::algorithms::{ContentEncryption, KeyManagementAlg, SigningAlg};
use crate::domain::client::{Client, RegistrationKind};
use crate::domain::event::{Actor, Event, EventKind, RequestOrigin};
use crate::domain::ids::{ClientId, EventId};
use crate::domain::jwks::JwkSet;
use crate::domain::secret::Secret;
use crate::keys::client_jws::{self, JwsError, VerifiedJws};
use crate::keys::encryption;
use crate::keys::jwt::{self, JwtType};
use crate::keys::remote::{KeyQuery, KeySource, RemoteKeysError};
use crate::outbound::UrlSource;
use crate::store::events;

/// Why there are no keys for verification or encryption.
#[derive(Debug)]
pub enum ClientKeysError {
    /// The client publishes no usable keys. The text is the reason for the log.
    Unusable(String),
    /// The keys may be available soon. This is not the client's fault: the response is 503.
    Unavailable(OAuthError),
}

/// Why a client's signature was not verified.
#[derive(Debug)]
pub enum SignatureError {
    Invalid(&'static str),
    Unavailable(OAuthError),
}

impl Client {
    /// Returns who specified the URLs that are fetched for the client.
    pub const fn named_by(&self) -> UrlSource {
        match self.registration_kind {
            RegistrationKind::Admin => UrlSource::Administrator,
            RegistrationKind::Dynamic => UrlSource::SelfRegistered,
            RegistrationKind::MetadataDocument => UrlSource::Anonymous,
        }
    }
}

impl Provider {
    /// Returns a client's public keys. If the wanted key is missing, the keys are fetched again where possible.
    pub async fn client_keys(
        &self,
        client: &Client,
        wanted: KeyQuery<'_>,
    ) -> std::result::Result<Arc<JwkSet>, ClientKeysError> {
        match (&client.meta.jwks, &client.meta.jwks_uri) {
            (Some(keys), _) => Ok(Arc::new(keys.clone())),
            (None, Some(uri)) => {
                let (owner, named_by) = (client.id.as_str(), client.named_by());
                self.published_keys(KeySource { owner, url: uri.as_str(), named_by }, Some(&client.id), wanted).await
            }
            (None, None) => Err(ClientKeysError::Unusable("the client has no keys".to_owned())),
        }
    }

    /// Returns the keys published at `source`, by `client` unless they belong to another issuer. If they have become
    /// too old to use, an event informs administrators, once until they are fetched again.
    pub async fn published_keys(
        &self,
        source: KeySource<'_>,
        client: Option<&ClientId>,
        wanted: KeyQuery<'_>,
    ) -> std::result::Result<Arc<JwkSet>, ClientKeysError> {
        let now = self.env.now();
        let error = match self.remote_keys.get(source, wanted, now).await {
            Ok(keys) => return Ok(keys),
            Err(error) => error,
        };
        let why = format!("keys at {}: {error}", source.url);
        let is_temporary = match &error {
            RemoteKeysError::Unusable(_) => false,
            RemoteKeysError::Fetch(error) => error.is_temporary(),
            RemoteKeysError::Expired { .. } => true,
        };
        if let RemoteKeysError::Expired { fetched_at, problem, first: true } = &error
            && source.named_by != UrlSource::Anonymous
        {
            let hours = now.since(*fetched_at) / 3_600_000;
            let detail = format!("{} was last fetched {hours} hours ago: {problem}", source.url);
            self.record_expired_keys(client, detail).await.map_err(ClientKeysError::Unavailable)?;
        }
        if is_temporary {
            let text = "The keys of the client or issuer cannot be fetched now. Try again in a moment.";
            return Err(ClientKeysError::Unavailable(
                OAuthError::new(ErrorCode::TemporarilyUnavailable, text).with_cause(why),
            ));
        }
        Err(ClientKeysError::Unusable(why))
    }

    async fn record_expired_keys(&self, client: Option<&ClientId>, detail: String) -> Result<()> {
        let event = Event {
            id: EventId(self.env.uuid()),
            at: self.env.now(),
            kind: EventKind::ClientKeysExpired,
            actor: Actor::System,
            user: None,
            client: client.cloned(),
            origin: RequestOrigin::default(),
            detail,
        };
        let written = self.store.write(move |tx| Box::pin(async move { events::insert(tx, &event).await }));
        Ok(written.await?)
    }

    /// Returns the client's secret, if it is stored in a form that can be decrypted.
    pub fn client_secret(&self, client: &Client) -> Option<Secret> {
        self.master.open_client_secret(client.secret.as_ref()?)
    }

    /// Verifies a JWS of the client that uses one of the algorithms in `allowed`.
    pub async fn verify_client_jws(
        &self,
        client: &Client,
        token: &str,
        allowed: &[SigningAlg],
    ) -> std::result::Result<VerifiedJws, SignatureError> {
        let header = client_jws::peek_header(token).ok_or(SignatureError::Invalid("it is no signed JWT"))?;
        let named = |name| header.get(name).and_then(|value: &serde_json::Value| value.as_str());
        let alg = named("alg").and_then(SigningAlg::parse).filter(|alg| allowed.contains(alg));
        if alg.ok_or(SignatureError::Invalid("its algorithm is not the client's"))? == SigningAlg::HS256 {
            let secret = self.client_secret(client);
            let secret = secret.ok_or(SignatureError::Invalid("the client has no secret for a MAC"))?;
            return client_jws::verify_mac(token, &secret).map_err(signature_error);
        }
        let keys = self.client_keys(client, named("kid").into()).await.map_err(|error| match error {
            ClientKeysError::Unavailable(error) => SignatureError::Unavailable(error),
            ClientKeysError::Unusable(why) => {
                tracing::warn!(client = %client.id, why, "the client's keys cannot be used");
                SignatureError::Invalid("the client's keys cannot be used")
            }
        })?;
        client_jws::verify(token, allowed, &keys).map_err(signature_error)
    }

    /// Signs for the client, then encrypts the signed JWT if the client is registered for that (RFC 7519 §11.2).
    pub async fn sign_and_encrypt(
        &self,
        client: &Client,
        alg: SigningAlg,
        encryption: Option<(KeyManagementAlg, Option<ContentEncryption>)>,
        typ: JwtType,
        claims: &impl Serialize,
    ) -> Result<String> {
        let secret = if alg == SigningAlg::HS256 { self.client_secret(client) } else { None };
        let signed = jwt::sign_for_client(&self.keys, alg, typ, claims, secret.as_ref())?;
        match encryption {
            None => Ok(signed),
            Some((alg, enc)) => self.encrypt(client, &signed, alg, enc).await,
        }
    }

    /// Encrypts to the client, with A128CBC-HS256 as the default (OpenID Connect Registration §2).
    pub async fn encrypt(
        &self,
        client: &Client,
        signed: &str,
        alg: KeyManagementAlg,
        enc: Option<ContentEncryption>,
    ) -> Result<String> {
        // The client's own keys are unsuitable: a retry does not help.
        let unfit = |cause: String| {
            OAuthError::new(ErrorCode::InvalidRequest, "The client has no key to which the answer can be encrypted.")
                .with_cause(cause)
        };
        let keys = self.client_keys(client, KeyQuery::Any).await.map_err(|error| match error {
            ClientKeysError::Unavailable(error) => error,
            ClientKeysError::Unusable(why) => unfit(why),
        })?;
        encryption::encrypt_to_client(signed, &keys, alg, enc.unwrap_or(ContentEncryption::A128CbcHs256))
            .map_err(|error| unfit(error.to_string()))
    }
}

fn signature_error(error: JwsError) -> SignatureError {
    SignatureError::Invalid(match error {
        JwsError::UnknownKey => "no key of the client's fits",
        JwsError::Invalid(why) => why,
    })
}
