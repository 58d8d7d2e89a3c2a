//! Whose a credential is. Each ends in one [`Identity`], whatever it was; what is wrong with one is said in the same words
//! whether it is unknown, expired, revoked or only nearly right.
//!
//! Bearer tokens are ours (RFC 6750, RFC 9068): verified here, for this API, not revoked. Basic (RFC 7617) is a client's
//! id and secret; a person's password is never asked for.

use super::Gate;
use super::original::Original;
use super::presented::Presented;
use super::verdict::{Identity, Reason, Refusal};
use crate::domain::api::Api;
use crate::domain::authorization::{SignIn, Subject};
use crate::domain::client_metadata::ClientAuthMethod;
use crate::domain::gate::Way;
use crate::domain::ids::ClientId;
use crate::domain::secret::Secret;
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

impl Gate {
    pub(super) async fn identify(&self, api: &Api, _original: &Original, presented: Presented<'_>) -> Result<Proven> {
        match presented {
            Presented::Nothing => Ok(Err(Unproven::Nothing)),
            Presented::Bearer(token) if api.takes(Way::Bearer) => self.by_token(api, token).await,
            Presented::Basic { user, password } if api.takes(Way::Basic) => self.by_secret(api, &user, &password).await,
            _ => Ok(Err(invalid())),
        }
    }

    async fn by_token(&self, api: &Api, token: &str) -> Result<Proven> {
        let provider = &self.provider;
        let Some(token) = provider.verify_token_again(token).await? else { return Ok(Err(invalid())) };
        if !token.audience.has(api.identifier.as_str()) {
            return Ok(Err(invalid()));
        }
        let authorization = &token.authorization;
        let Some(client) = provider.issued_to(&authorization.client).await?.filter(|client| !client.disabled) else {
            return Ok(Err(invalid()));
        };
        let person = match authorization.subject {
            Subject::Client => None,
            Subject::User(user) => match provider.store.authority().person(&provider.store, user).await? {
                Some(person) => Some(person),
                None => return Ok(Err(invalid())),
            },
        };
        Ok(Ok(Identity {
            way: Way::Bearer,
            subject: provider.subject(&client, authorization),
            client: Some(client.id.clone()),
            user: authorization.user(),
            person,
            scopes: authorization.scopes.filtered(|scope| api.scopes.contains(scope)),
            acr: authorization.sign_in.as_ref().map(SignIn::acr),
            auth_time: authorization.sign_in.as_ref().map(|sign_in| sign_in.auth_time),
        }))
    }

    async fn by_secret(&self, api: &Api, user: &str, password: &Secret) -> Result<Proven> {
        let provider = &self.provider;
        let Ok(id) = ClientId::parse(user) else { return Ok(Err(invalid())) };
        let found = provider.store.authority().client(&provider.store, &id).await?;
        // One that is to prove itself by keys is not let in by a secret it has for MACs.
        let by_secret =
            |method| matches!(method, ClientAuthMethod::ClientSecretBasic | ClientAuthMethod::ClientSecretPost);
        let client = found.filter(|it| !it.disabled && by_secret(it.meta.token_endpoint_auth_method));
        let right = client.filter(|client| {
            let kept = client.secret.as_ref();
            kept.is_some_and(|kept| provider.master.verify_client_secret(kept, password.expose()))
        });
        let Some(client) = right else { return Ok(Err(invalid())) };
        Ok(Ok(Identity {
            way: Way::Basic,
            subject: client.id.to_string(),
            client: Some(client.id.clone()),
            user: None,
            person: None,
            scopes: client.meta.scope.filtered(|scope| api.scopes.contains(scope)),
            acr: None,
            auth_time: None,
        }))
    }
}
