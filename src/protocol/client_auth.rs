//! Client authentication (RFC 6749 §2.3, OpenID Connect Core §9): what was presented becomes an enum, then the method
//! that the client registered is required, and no other.

use std::sync::Arc;

use base64::Engine as _;

use super::Provider;
use super::client_assertion;
use super::error::{ErrorCode, OAuthError, Result};
use super::parameters::Parameters;
use crate::domain::client::Client;
use crate::domain::client_metadata::ClientAuthMethod;
use crate::domain::ids::ClientId;
use crate::domain::secret::Secret;
use crate::keys::certificate::ClientCertificate;

/// Credentials as they were presented, unjudged.
#[derive(Debug)]
pub enum Presented {
    Basic {
        client: ClientId,
        secret: Secret,
    },
    Post {
        client: ClientId,
        secret: Secret,
    },
    /// RFC 7523 §2.2.
    Assertion {
        client: ClientId,
        assertion: String,
    },
    /// `client_id` alone: of a public client, or of one whose certificate says the rest (RFC 8705 §2).
    Named {
        client: ClientId,
    },
}

impl Presented {
    /// Reads them from the `Authorization` header and the body. More than one way at once is refused (RFC 6749 §2.3).
    pub fn parse(authorization: Option<&str>, parameters: &Parameters) -> Result<Self> {
        let named = parameters.one("client_id")?;
        let secret = parameters.one("client_secret")?;
        if let Some(assertion) = parameters.one("client_assertion")? {
            if authorization.is_some() || secret.is_some() {
                return Err(two_ways());
            }
            if parameters.one("client_assertion_type")? != Some(client_assertion::TYPE) {
                // RFC 6749 §5.2: a method of authentication that is not supported.
                return Err(failed().because("client_assertion_type is not supported"));
            }
            let client = client_assertion::speaks_of(assertion).ok_or_else(failed)?;
            // RFC 7521 §4.2: it may stand beside, and then it is the same.
            if named.is_some_and(|named| named != client.as_str()) {
                return Err(failed().because("client_id differs from the assertion's subject"));
            }
            return Ok(Self::Assertion { client, assertion: assertion.to_owned() });
        }
        if let Some(header) = authorization {
            let (client, password) =
                basic(header).ok_or_else(|| invalid("The Authorization header is not Basic credentials."))?;
            if secret.is_some() {
                return Err(two_ways());
            }
            if named.is_some_and(|named| named != client) {
                return Err(OAuthError::new(
                    ErrorCode::InvalidRequest,
                    "client_id differs from the Authorization header.",
                ));
            }
            return Ok(Self::Basic { client: id(&client)?, secret: password });
        }
        let client = id(named.ok_or_else(|| invalid("The request has no client authentication."))?)?;
        Ok(match secret {
            Some(secret) => Self::Post { client, secret: Secret::new(secret.to_owned()) },
            None => Self::Named { client },
        })
    }
}

impl Presented {
    fn client(&self) -> &ClientId {
        match self {
            Self::Basic { client, .. }
            | Self::Post { client, .. }
            | Self::Assertion { client, .. }
            | Self::Named { client } => client,
        }
    }

    /// Whether these are what a client of that method presents.
    fn is_by(&self, method: ClientAuthMethod) -> bool {
        match self {
            Self::Basic { .. } => method == ClientAuthMethod::ClientSecretBasic,
            Self::Post { .. } => method == ClientAuthMethod::ClientSecretPost,
            Self::Assertion { .. } => {
                matches!(method, ClientAuthMethod::ClientSecretJwt | ClientAuthMethod::PrivateKeyJwt)
            }
            Self::Named { .. } => method == ClientAuthMethod::None || method.is_by_certificate(),
        }
    }
}

fn two_ways() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, "The client authenticates in two ways at once.")
}

fn invalid(text: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, text)
}

/// One text for every failure: nobody learns which client ids exist.
fn failed() -> OAuthError {
    invalid("Client authentication failed.")
}

fn id(text: &str) -> Result<ClientId> {
    ClientId::parse(text).map_err(|_| failed())
}

/// RFC 7617, each half form-encoded before (RFC 6749 §2.3.1).
fn basic(header: &str) -> Option<(String, Secret)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = zeroize::Zeroizing::new(String::from_utf8(bytes).ok()?);
    let (client, secret) = text.split_once(':')?;
    Some((form_decoded(client)?, Secret::new(form_decoded(secret)?)))
}

fn form_decoded(text: &str) -> Option<String> {
    // A value never holds a bare `&` or `=`, so the form parser sees one name without a value.
    if text.contains(['&', '=']) {
        return Some(text.to_owned());
    }
    let (name, _) = url::form_urlencoded::parse(text.as_bytes()).next().unwrap_or_default();
    (!name.contains('\u{fffd}')).then(|| name.into_owned())
}

impl Provider {
    /// The client that presented these at `address`, where they are right and it is turned on.
    pub async fn authenticate_client(
        &self,
        presented: Presented,
        certificate: Option<&ClientCertificate>,
        address: &str,
    ) -> Result<Arc<Client>> {
        let id = presented.client();
        self.in_touch().await?;
        // By what the database has now: a secret that was replaced on another node is no good here either.
        let Some(client) = self.current_client(id).await? else {
            return Err(failed().because(format!("no client {id}")));
        };
        let method = client.meta.token_endpoint_auth_method;
        if !presented.is_by(method) {
            return Err(failed().because(format!("{id} is registered for another method, {method:?}")));
        }
        let proven = match &presented {
            Presented::Basic { secret, .. } | Presented::Post { secret, .. } => {
                let kept = client.secret.as_ref();
                let right = kept.is_some_and(|kept| self.master.verify_client_secret(kept, secret.expose()));
                if right { Ok(()) } else { Err("wrong secret") }
            }
            Presented::Assertion { assertion, .. } => self.check_assertion(&client, assertion, address).await?,
            Presented::Named { .. } if method.is_by_certificate() => match certificate {
                Some(certificate) if self.is_certified(&client, certificate).await? => Ok(()),
                Some(_) => Err("another certificate"),
                None => Err("no certificate"),
            },
            Presented::Named { .. } => Ok(()),
        };
        if let Err(why) = proven {
            return Err(failed().because(format!("{id}: {why}")));
        }
        if client.disabled {
            return Err(failed().because(format!("{id} is turned off")));
        }
        Ok(client)
    }
}
