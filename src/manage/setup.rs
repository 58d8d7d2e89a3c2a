//! The first administrator, by the one-time link that a start without one prints. The link is used up by the statement
//! that makes the administrator, so that of two browsers with it one wins. Next door: `web::pages::setup`, its page.

use super::people::{self, NewPerson};
use super::{ManageError, Manager, Result};
use crate::domain::event::{Actor, Origin};
use crate::domain::secret::{Digest, Secret, SecretKind, base64url};
use crate::domain::user::User;
use crate::identity::login;
use crate::store::{Store, StoreError, people as rows, settings, used_once};

const SETTING: &str = "setup";

fn kept(token: &str) -> String {
    base64url(&SecretKind::Setup.digest(token).0)
}

/// A new link's token, while there is no administrator; older ones stop working.
pub async fn token(store: &Store) -> std::result::Result<Option<Secret>, StoreError> {
    if rows::any_admin(store.read()).await? {
        return Ok(None);
    }
    let token = SecretKind::Setup.mint(store.env().random());
    let digest = kept(token.expose());
    store.write(move |tx| Box::pin(async move { settings::put(tx, SETTING, &digest).await })).await?;
    Ok(Some(token))
}

/// Whether `token` is the newest link's, unused, and there is no administrator by another way.
pub async fn stands(store: &Store, token: &str) -> std::result::Result<bool, StoreError> {
    let newest = settings::value(store.read(), SETTING).await?.is_some_and(|value| value == kept(token));
    Ok(newest && !rows::any_admin(store.read()).await?)
}

/// Creates the first administrator and uses the link up; `NotFound` if it is used up. `creation` is claimed for
/// [`login::just_created`].
pub async fn finish(
    manager: &Manager,
    origin: Origin,
    token: &str,
    mut new: NewPerson,
    creation: Digest,
) -> Result<User> {
    new.admin = true;
    let (user, groups) = people::prepared(manager, new).await?;
    let digest = kept(token);
    manager
        .transact_as(Actor::User(user.id), origin, move |tx, recorder| {
            Box::pin(async move {
                if !settings::take(tx, SETTING, &digest).await? || rows::any_admin(tx.conn()).await? {
                    return Err(ManageError::NotFound("set-up link that is unused".to_owned()));
                }
                people::add_in(tx, &recorder, &user, &groups).await?;
                used_once::claim(tx, &creation, tx.now().plus_seconds(login::REPEAT_SECONDS)).await?;
                Ok(user)
            })
        })
        .await
}
