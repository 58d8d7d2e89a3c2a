//! API keys (`domain::api_key`), in a header of their own, as a bearer token, or as the password of Basic beside their
//! owner's name. Nobody's sign-in is behind one: it has no `acr`.

use std::net::IpAddr;

use super::{Proven, invalid};
use crate::domain::api::Api;
use crate::domain::api_key::{ApiKeySecret, Holder, Owner};
use crate::domain::gate::Way;
use crate::domain::secret::Secret;
use crate::gate::Gate;
use crate::gate::verdict::Identity;
use crate::protocol::error::Result;

impl Gate {
    pub(super) async fn by_api_key(
        &self,
        api: &Api,
        way: Way,
        key: &Secret,
        user: Option<&str>,
        caller: Option<IpAddr>,
    ) -> Result<Proven> {
        let (store, now) = (&self.provider.store, self.provider.env.now());
        let authority = store.authority();
        let Some(secret) = ApiKeySecret::parse(key.expose()) else { return Ok(Err(invalid())) };
        let Some(key) = authority.api_key(store, &secret.digest()).await? else { return Ok(Err(invalid())) };
        if let Err(unfit) = key.fits(api, caller, now) {
            tracing::debug!(key = %key.id, ?unfit, "a key that there is does not fit");
            return Ok(Err(invalid()));
        }
        let Some(holder) = authority.holder(store, &key.owner).await? else { return Ok(Err(invalid())) };
        let name = match &holder {
            Holder::Person(person) => person.username.as_str(),
            Holder::Client(client) => client.id.as_str(),
        };
        if user.is_some_and(|user| !user.is_empty() && user != name) {
            return Ok(Err(invalid()));
        }
        authority.key_uses().note(key.id, now);
        let scopes = key.scopes_now(api, &holder);
        let (client, user) = match &key.owner {
            Owner::Client(id) => (Some(id.clone()), None),
            Owner::User(id) => (None, Some(*id)),
        };
        let subject = user.map_or_else(|| name.to_owned(), |user| user.to_string());
        let person = match holder {
            Holder::Person(person) => Some(person),
            Holder::Client(_) => None,
        };
        Ok(Ok(Identity { way, subject, client, user, person, scopes, acr: None, auth_time: None }))
    }
}
