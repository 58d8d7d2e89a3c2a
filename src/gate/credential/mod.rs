//! Whose a credential is. Each ends in one [`Identity`], whatever it was; what is wrong with one is said in the same words
//! whether it is unknown, expired, revoked or only nearly right.
//!
//! One file for each way: [`token`], [`client_secret`], [`api_key`], [`signature`], [`oauth1`], [`session`],
//! [`certificate`]. Next door:
//! [`super::presented`], what the request had.

mod api_key;
mod certificate;
mod client_secret;
mod oauth1;
mod session;
mod signature;
mod token;

use super::original::Original;
use super::presented::Presented;
use super::verdict::{Identity, Reason, Refusal};
use super::{Asked, Gate};
use crate::domain::api::Api;
use crate::domain::client::{Client, Registered};
use crate::domain::client_metadata::GrantType;
use crate::domain::gate::Way;
use crate::protocol::error::{OAuthError, Result};

/// Why nobody is known.
pub(super) enum Unproven {
    Nothing,
    Refused(Refusal),
    /// It cannot be told now; the answer is 503.
    Unavailable(OAuthError),
}

pub(super) type Proven = std::result::Result<Identity, Unproven>;

fn invalid() -> Unproven {
    let text = "The credential is unknown, expired, revoked or not for this API.";
    Unproven::Refused(Refusal::new(Reason::InvalidCredential, text))
}

/// Whether a client may come on its own account. One that registered itself has its scopes to ask people for; only where
/// the policy let it have `client_credentials` (RFC 6749 §4.4) are they its own.
fn acts_for_itself(client: &Client) -> bool {
    let by_itself = || client.meta.grant_types.contains(&GrantType::ClientCredentials);
    !client.disabled && (client.registered == Registered::ByAdmin || by_itself())
}

/// A client that acts for itself: what it may do at this API is what it is registered for.
fn client_itself(way: Way, api: &Api, client: &Client) -> Identity {
    Identity {
        way,
        subject: client.id.to_string(),
        client: Some(client.id.clone()),
        user: None,
        person: None,
        scopes: api.scopes.filtered(|scope| client.may_request(api, scope)),
        acr: None,
        auth_time: None,
    }
}

impl Gate {
    /// By what comes with everything: the certificate, or, where it is no client's, the browser's session. A browser may
    /// have a certificate for another purpose.
    async fn by_connection(&self, api: &Api, asked: &Asked<'_>, original: &Original) -> Result<Proven> {
        let by_certificate = match asked.certificate.filter(|_| api.takes(Way::Mtls)) {
            Some(certificate) => self.by_certificate(api, asked.fields, certificate).await?,
            None => Err(Unproven::Nothing),
        };
        if by_certificate.is_ok() || !api.takes(Way::Session) {
            return Ok(by_certificate);
        }
        match self.by_session(api, asked.fields, original).await? {
            Err(Unproven::Nothing) => Ok(by_certificate),
            by_session => Ok(by_session),
        }
    }

    pub(super) async fn identify(
        &self,
        api: &Api,
        asked: &Asked<'_>,
        original: &Original,
        presented: Presented<'_>,
    ) -> Result<Proven> {
        match presented {
            Presented::Nothing => self.by_connection(api, asked, original).await,
            Presented::Bearer(token) if api.takes(Way::Bearer) => self.by_token(api, token, asked.certificate).await,
            Presented::Basic { user, password } if api.takes(Way::Basic) => self.by_secret(api, &user, &password).await,
            Presented::ApiKey { key, user } => match if user.is_some() { Way::Basic } else { Way::ApiKey } {
                way if api.takes(way) => self.by_api_key(api, way, &key, user.as_deref(), asked.caller).await,
                _ => Ok(Err(invalid())),
            },
            Presented::Signature if api.takes(Way::MessageSignature) => {
                self.by_signature(api, original, asked.fields).await
            }
            Presented::OAuth1(header) if api.takes(Way::Oauth1) => {
                self.by_oauth1(api, original, asked.fields, header).await
            }
            _ => Ok(Err(invalid())),
        }
    }
}
