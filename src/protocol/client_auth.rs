//! Client authentication (RFC 6749 §2.3, OpenID Connect Core §9): parses the credentials of a request into an enum,
//! then requires a method that the client may use.
//!
//! `client_secret_basic` and `client_secret_post` carry the same secret, and libraries use the one they are configured
//! for. A client registered with one of them may use either, unless it has `strict_client_authentication`
//! ([`ClientMetadata::auth_methods`](crate::domain::client_metadata::ClientMetadata::auth_methods)).
//!
//! See also: [`super::basic_credentials`], [`super::client_assertion`].

use std::sync::Arc;

use super::Provider;
use super::basic_credentials::{self, ClientSecret};
use super::client_assertion;
use super::error::{ErrorCode, OAuthError, Result};
use super::parameters::Parameters;
use crate::domain::client::Client;
use crate::domain::client_metadata::ClientAuthMethod;
use crate::domain::ids::ClientId;
use crate::domain::secret::Secret;
use crate::keys::certificate::ClientCertificate;

/// Presented credentials, not verified.
#[derive(Debug)]
pub enum PresentedCredentials {
    Secret {
        /// `client_secret_basic` or `client_secret_post`.
        method: ClientAuthMethod,
        /// The possible readings: one for `client_secret_post`, up to four for `client_secret_basic`.
        readings: Vec<ClientSecret>,
    },
    /// A client assertion (RFC 7523 §2.2).
    Assertion { client: ClientId, assertion: String },
    /// `client_id` alone: a public client, or one that its certificate authenticates (RFC 8705 §2).
    Named { client: ClientId },
}

impl PresentedCredentials {
    /// Parses the `Authorization` header and the body. More than one method in a request is an error (RFC 6749 §2.3).
    pub fn parse(authorization: Option<&str>, parameters: &Parameters) -> Result<Self> {
        let named = parameters.one("client_id")?;
        let secret = parameters.one("client_secret")?;
        if let Some(assertion) = parameters.one("client_assertion")? {
            if authorization.is_some() || secret.is_some() {
                return Err(multiple_methods());
            }
            return parse_assertion(assertion, parameters.one("client_assertion_type")?, named);
        }
        if let Some(header) = authorization {
            let mut readings = basic_credentials::readings(header).ok_or_else(|| failed(NOT_BASIC))?;
            if secret.is_some() {
                return Err(multiple_methods());
            }
            if readings.is_empty() {
                return Err(failed(FAILED).with_cause("what is before the colon is no client_id"));
            }
            readings.retain(|reading| named.is_none_or(|named| named == reading.client.as_str()));
            if readings.is_empty() {
                let text = "client_id differs from the Authorization header.";
                return Err(OAuthError::new(ErrorCode::InvalidRequest, text));
            }
            if let Some(client) = without_secret(&readings) {
                return Ok(Self::Named { client: client.clone() });
            }
            return Ok(Self::Secret { method: ClientAuthMethod::ClientSecretBasic, readings });
        }
        let client = ClientId::parse(named.ok_or_else(|| failed(NOTHING_SENT))?).map_err(|_| failed(FAILED))?;
        Ok(match secret {
            Some(secret) => {
                let reading = ClientSecret { client, secret: Secret::new(secret.to_owned()) };
                Self::Secret { method: ClientAuthMethod::ClientSecretPost, readings: vec![reading] }
            }
            None => Self::Named { client },
        })
    }
}

/// Returns the client of Basic credentials with an empty secret, which is treated as no secret: libraries send the
/// header for public clients too.
///
/// Text that ends with a colon may be a secret that does, unless it is a URL. A URL with another colon in its path, or
/// one behind the encoded URL of a client, may contain that secret: it is neither taken for a client id nor fetched.
fn without_secret(readings: &[ClientSecret]) -> Option<&ClientId> {
    let is_empty = |reading: &&ClientSecret| reading.secret.expose().is_empty();
    let is_alone = readings.iter().all(|reading| is_empty(&reading));
    let may_have_secret = readings.iter().any(|other| !is_empty(&other) && other.client.is_web_address());
    let has_colon_in_path =
        |client: &ClientId| client.as_str().splitn(4, '/').nth(3).is_some_and(|it| it.contains(':'));
    let is_address = |client: &ClientId| client.is_web_address() && !has_colon_in_path(client) && !may_have_secret;
    let named = readings.iter().find(is_empty).map(|reading| &reading.client);
    named.filter(|client| is_alone || is_address(client))
}

/// Returns the client that a request names, even if its credentials are invalid. For Basic credentials it is the first
/// reading: the other readings take a part of the secret for the client id.
pub fn named_client(authorization: Option<&str>, parameters: &Parameters) -> Option<ClientId> {
    let sent = |name| parameters.one(name).ok().flatten();
    if let Some(id) = sent("client_id") {
        return ClientId::parse(id).ok();
    }
    if let Some(assertion) = sent("client_assertion") {
        return client_assertion::unverified_subject(assertion);
    }
    basic_credentials::readings(authorization?)?.into_iter().next().map(|reading| reading.client)
}

fn parse_assertion(assertion: &str, kind: Option<&str>, named: Option<&str>) -> Result<PresentedCredentials> {
    if kind != Some(client_assertion::TYPE) {
        // RFC 6749 §5.2: an unsupported authentication method.
        return Err(failed(FAILED).with_cause("client_assertion_type is not supported"));
    }
    let client = client_assertion::unverified_subject(assertion).ok_or_else(|| failed(FAILED))?;
    // RFC 7521 §4.2: `client_id` is optional, but must match the assertion.
    if named.is_some_and(|named| named != client.as_str()) {
        return Err(failed(FAILED).with_cause("client_id differs from the assertion's subject"));
    }
    Ok(PresentedCredentials::Assertion { client, assertion: assertion.to_owned() })
}

/// Why a client is not authenticated.
#[derive(Debug)]
pub enum ClientAuthError {
    Failed(OAuthError),
    /// The client authenticated successfully, by a method that it may not use.
    WrongMethod {
        client: Arc<Client>,
        error: OAuthError,
    },
}

impl From<OAuthError> for ClientAuthError {
    fn from(error: OAuthError) -> Self {
        Self::Failed(error)
    }
}

impl From<ClientAuthError> for OAuthError {
    fn from(error: ClientAuthError) -> Self {
        match error {
            ClientAuthError::Failed(error) | ClientAuthError::WrongMethod { error, .. } => error,
        }
    }
}

fn multiple_methods() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, MULTIPLE_METHODS)
}

/// Appends all supported methods to a text. The client's own methods are not named, which would disclose which clients
/// exist.
macro_rules! with_methods {
    ($problem:literal) => {
        concat!(
            $problem,
            " A client with a secret may use client_secret_basic or client_secret_post, unless its registration says that \
             it is strict. Any other client uses the method that it is registered for: private_key_jwt, \
             client_secret_jwt, tls_client_auth, self_signed_tls_client_auth, or none, which is client_id alone."
        )
    };
}

/// The error text for every failed client authentication, unknown clients included.
const FAILED: &str = with_methods!("Client authentication failed.");
const MULTIPLE_METHODS: &str = with_methods!("The client authenticates in two ways at once.");
const NOTHING_SENT: &str = with_methods!("The request has no client authentication.");
const NOT_BASIC: &str = with_methods!("The Authorization header is not Basic credentials.");

fn failed(text: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, text)
}

/// Returns the error for a client that authenticated by a method that it may not use.
fn wrong_method(client: &Client, method: ClientAuthMethod) -> OAuthError {
    let names: Vec<&str> = client.meta.auth_methods().iter().map(|method| method.as_str()).collect();
    let text = format!("This client may use {} and no other method of authentication.", names.join(" or "));
    OAuthError::new(ErrorCode::InvalidClient, text).with_cause(format!("{} used {}", client.id, method.as_str()))
}

impl Provider {
    /// Returns the client that presented these credentials from `address`, if they are valid and it is enabled.
    pub async fn authenticate_client(
        &self,
        presented: PresentedCredentials,
        certificate: Option<&ClientCertificate>,
        address: &str,
    ) -> std::result::Result<Arc<Client>, ClientAuthError> {
        self.check_revocations_fresh().await?;
        let (id, assertion) = match presented {
            PresentedCredentials::Secret { method, readings } => {
                return self.authenticate_by_secret(method, &readings, address).await;
            }
            PresentedCredentials::Assertion { client, assertion } => (client, Some(assertion)),
            PresentedCredentials::Named { client } => (client, None),
        };
        // The database is read, not the cache: a key that was replaced on another node must not be accepted here.
        let Some(client) = self.current_client(&id).await? else {
            return Err(failed(FAILED).with_cause(format!("no client {id}")).into());
        };
        let method = client.meta.token_endpoint_auth_method;
        let proven = match &assertion {
            Some(assertion) => self.check_assertion(&client, assertion, address).await?,
            None if method == ClientAuthMethod::None => Ok(()),
            None if method.is_mutual_tls() => match certificate {
                Some(certificate) if self.is_client_certificate(&client, certificate).await? => Ok(()),
                Some(_) => Err("another certificate"),
                None => Err("no certificate"),
            },
            None => Err("it sent client_id alone"),
        };
        if let Err(why) = proven {
            return Err(failed(FAILED).with_cause(format!("{id}, registered for {}: {why}", method.as_str())).into());
        }
        Ok(enabled(client)?)
    }

    /// Authenticates a client by its secret. Every reading is tried, and readings with unknown clients take as long as
    /// the others.
    ///
    /// Clients with metadata documents have no secret, so no document is fetched.
    async fn authenticate_by_secret(
        &self,
        method: ClientAuthMethod,
        readings: &[ClientSecret],
        address: &str,
    ) -> std::result::Result<Arc<Client>, ClientAuthError> {
        for ClientSecret { client: id, secret } in readings {
            let known = self.store.authority().current_client(&self.store, id).await.map_err(OAuthError::from)?;
            let is_right = self.check_client_secret(known.client.as_deref(), secret, address).await?;
            let Some(client) = known.client.filter(|_| is_right) else { continue };
            let client = enabled(client)?;
            if client.meta.auth_methods().contains(&method) {
                return Ok(client);
            }
            let error = wrong_method(&client, method);
            return Err(ClientAuthError::WrongMethod { client, error });
        }
        // A public client has no secret to guess, so it gets the error of a wrong method: a code that is no longer
        // valid is then reported first.
        for ClientSecret { client: id, .. } in readings {
            let known = self.store.authority().current_client(&self.store, id).await.map_err(OAuthError::from)?;
            if let Some(client) = known.client.filter(|client| client.meta.is_public() && !client.disabled) {
                let error = failed(FAILED).with_cause(format!("{id} is public and sent a secret"));
                return Err(ClientAuthError::WrongMethod { client, error });
            }
        }
        // The other readings take a part of the secret for the client id.
        let named = readings.first().map(|reading| reading.client.as_str()).unwrap_or_default();
        Err(failed(FAILED).with_cause(format!("wrong secret, or no client {named}")).into())
    }
}

fn enabled(client: Arc<Client>) -> Result<Arc<Client>> {
    if client.disabled { Err(failed(FAILED).with_cause(format!("{} is disabled", client.id))) } else { Ok(client) }
}
