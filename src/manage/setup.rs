//! Creates the first administrator, with the one-time link that the server prints when it starts without one.
//! The statement that creates the administrator also consumes the link, so that only one of two concurrent
//! browsers succeeds. See also `web::pages::setup`, its page.

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

/// Returns the token of a new link if there is no administrator yet. Older links become invalid.
pub async fn token(store: &Store) -> std::result::Result<Option<Secret>, StoreError> {
    if rows::has_admin(store.read()).await? {
        return Ok(None);
    }
    let token = SecretKind::Setup.mint(store.env().random());
    let digest = token_digest(token.expose());
    store.write(move |tx| Box::pin(async move { settings::put(tx, SETTING, &digest).await })).await?;
    Ok(Some(token))
}

/// Returns whether `token` is that of the newest link, is unused, and no administrator has been created in
/// another way.
pub async fn stands(store: &Store, token: &str) -> std::result::Result<bool, StoreError> {
    let newest = settings::value(store.read(), SETTING).await?.is_some_and(|value| value == token_digest(token));
    Ok(newest && !rows::has_admin(store.read()).await?)
}

/// Creates the first administrator and consumes the link; `NotFound` if it is consumed already. `creation` is
/// claimed for [`login::just_created`].
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
