//! The first administrator, by the one-time link that a start without one prints. The link is used up by the statement
//! that makes the administrator, so that of two browsers with it one wins. Next door: `web::pages::setup`, its page.

use super::users::{self, NewUser};
use super::{ManageError, Manager, Result};
use crate::domain::event::{Actor, RequestOrigin};
use crate::domain::secret::{Digest, Secret, SecretKind, base64url};
use crate::domain::user::User;
use crate::identity::login;
use crate::store::{Store, StoreError, replay, settings, users as rows};

const SETTING: &str = "setup";

fn token_digest(token: &str) -> String {
    base64url(&SecretKind::Setup.digest(token).0)
}

/// A new link's token, while there is no administrator; older ones stop working.
pub async fn token(store: &Store) -> std::result::Result<Option<Secret>, StoreError> {
    if rows::has_admin(store.read()).await? {
        return Ok(None);
    }
    let token = SecretKind::Setup.mint(store.env().random());
    let digest = token_digest(token.expose());
    store.write(move |tx| Box::pin(async move { settings::put(tx, SETTING, &digest).await })).await?;
    Ok(Some(token))
}

/// Whether `token` is the newest link's, unused, and there is no administrator by another way.
pub async fn stands(store: &Store, token: &str) -> std::result::Result<bool, StoreError> {
    let newest = settings::value(store.read(), SETTING).await?.is_some_and(|value| value == token_digest(token));
    Ok(newest && !rows::has_admin(store.read()).await?)
}

/// Creates the first administrator and uses the link up; `NotFound` if it is used up. `creation` is claimed for
/// [`login::just_created`].
pub async fn finish(
    manager: &Manager,
    origin: RequestOrigin,
    token: &str,
    mut new: NewUser,
    creation: Digest,
) -> Result<User> {
    new.admin = true;
    let (user, groups) = users::prepared(manager, new).await?;
    let digest = token_digest(token);
    manager
        .transact_as(Actor::User(user.id), origin, move |tx, recorder| {
            Box::pin(async move {
                if !settings::take(tx, SETTING, &digest).await? || rows::has_admin(tx.conn()).await? {
                    return Err(ManageError::NotFound("set-up link that is unused".to_owned()));
                }
                users::add_in(tx, &recorder, &user, &groups).await?;
                replay::claim(tx, &creation, tx.now().plus_seconds(login::RESUBMIT_WINDOW_SECONDS)).await?;
                Ok(user)
            })
        })
        .await
}
