//! Whose a credential is. Each ends in one [`Identity`], whatever it was; what is wrong with one is said in the same words
//! whether it is unknown, expired, revoked or only nearly right.
//!
//! One file for each way: [`token`], [`client_secret`], [`api_key`]. Next door: [`super::presented`], what the request had.

mod api_key;
mod client_secret;
mod token;

use super::presented::Presented;
use super::verdict::{Identity, Reason, Refusal};
use super::{Asked, Gate};
use crate::domain::api::Api;
use crate::domain::client::Client;
use crate::domain::gate::Way;
use crate::protocol::error::Result;

/// Why nobody is known.
pub(super) enum Unproven {
    Nothing,
    Refused(Refusal),
}

type Proven = std::result::Result<Identity, Unproven>;

fn invalid() -> Unproven {
    let text = "The credential is unknown, expired, revoked or not for this API.";
    Unproven::Refused(Refusal::new(Reason::InvalidCredential, text))
}

/// A client that acts for itself: what it may do at this API is what it is registered for.
fn client_itself(way: Way, api: &Api, client: &Client) -> Identity {
    Identity {
        way,
        subject: client.id.to_string(),
        client: Some(client.id.clone()),
        user: None,
        person: None,
        scopes: client.meta.scope.filtered(|scope| api.scopes.contains(scope)),
        acr: None,
        auth_time: None,
    }
}

impl Gate {
    pub(super) async fn identify(&self, api: &Api, asked: &Asked<'_>, presented: Presented<'_>) -> Result<Proven> {
        match presented {
            Presented::Nothing => Ok(Err(Unproven::Nothing)),
            Presented::Bearer(token) if api.takes(Way::Bearer) => self.by_token(api, token).await,
            Presented::Basic { user, password } if api.takes(Way::Basic) => self.by_secret(api, &user, &password).await,
            Presented::ApiKey { key, user } => match if user.is_some() { Way::Basic } else { Way::ApiKey } {
                way if api.takes(way) => self.by_api_key(api, way, &key, user.as_deref(), asked.caller).await,
                _ => Ok(Err(invalid())),
            },
            _ => Ok(Err(invalid())),
        }
    }
}
