//! Authenticates API keys (`domain::api_key`), sent in `X-API-Key`, as a bearer token, or as the password of Basic with
//! the owner's name. A key is not the result of an interactive sign-in, so the identity has no `acr`.

use std::net::IpAddr;

use super::{AuthenticationResult, invalid};
use crate::domain::api::Api;
use crate::domain::api_key::{ApiKeySecret, Owner, ResolvedOwner};
use crate::domain::gate::CredentialKind;
use crate::domain::secret::Secret;
use crate::gate::Gate;
use crate::gate::decision::Identity;
use crate::protocol::error::Result;

impl Gate {
    pub(super) async fn authenticate_api_key(
        &self,
        api: &Api,
        way: CredentialKind,
        key: &Secret,
        user: Option<&str>,
        caller: Option<IpAddr>,
    ) -> Result<AuthenticationResult> {
        let (store, now) = (&self.provider.store, self.provider.env.now());
        let authority = store.authority();
        let Some(secret) = ApiKeySecret::parse(key.expose()) else { return Ok(Err(invalid())) };
        let Some(key) = authority.api_key(store, &secret.digest()).await? else { return Ok(Err(invalid())) };
        if let Err(unfit) = key.check_usable(api, caller, now) {
            tracing::debug!(key = %key.id, ?unfit, "a key that there is does not fit");
            return Ok(Err(invalid()));
        }
        let Some(holder) = authority.enabled_owner(store, &key.owner).await? else { return Ok(Err(invalid())) };
        let name = match &holder {
            ResolvedOwner::User(person) => person.username.as_str(),
            ResolvedOwner::Client(client) => client.id.as_str(),
        };
        if user.is_some_and(|user| !user.is_empty() && user != name) {
            return Ok(Err(invalid()));
        }
        authority.key_uses().note(key.id, now);
        let scopes = key.effective_scopes(api, &holder);
        let (client, user) = match &key.owner {
            Owner::Client(id) => (Some(id.clone()), None),
            Owner::User(id) => (None, Some(*id)),
        };
        let subject = user.map_or_else(|| name.to_owned(), |user| user.to_string());
        let person = match holder {
            ResolvedOwner::User(person) => Some(person),
            ResolvedOwner::Client(_) => None,
        };
        Ok(Ok(Identity {
            credential_kind: way,
            subject,
            client,
            user,
            user_summary: person,
            scopes,
            acr: None,
            auth_time: None,
        }))
    }
}
