//! `/account/apps`: which apps may use the account, and taking that back.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::Response;

use super::then;
use super::views::{AppLine, AppsPage};
use crate::domain::ids::ClientId;
use crate::domain::scope::Scopes;
use crate::env::Timestamp;
use crate::manage::{ManageError, consents as manage};
use crate::protocol::error::OAuthError;
use crate::store::{StoreError, consents, grants};
use crate::web::error::{PageError, render};
use crate::web::extract::{SignedIn, SignedInForm};
use crate::web::flash::Flash;
use crate::web::pages::{card, chrome, consent};
use crate::web::view::When;

const HERE: &str = "/account/apps";

pub async fn show(person: SignedIn) -> Result<Response, PageError> {
    let apps = lines(&person).await.map_err(|error| person.error(OAuthError::from(error)))?;
    Ok(render(&AppsPage {
        chrome: chrome(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        apps,
    }))
}

/// What was allowed on the consent page, and what apps of our own, for which nobody is asked, hold on to.
async fn lines(person: &SignedIn) -> Result<Vec<AppLine>, StoreError> {
    let (store, user) = (person.app().store(), person.user.id);
    let mut allowed: BTreeMap<ClientId, (Scopes, Timestamp)> = consents::of_user(store.read(), user)
        .await?
        .into_iter()
        .map(|given| (given.client, (given.scopes, given.created_at)))
        .collect();
    for grant in grants::of_user(store.read(), user, store.env().now()).await? {
        let entry = allowed.entry(grant.authorization.client.clone());
        let (scopes, since) = entry.or_insert_with(|| (Scopes::default(), grant.created_at));
        *scopes = scopes.union(&grant.authorization.scopes);
        *since = (*since).min(grant.created_at);
    }
    let mut lines = Vec::new();
    for (id, (scopes, since)) in allowed {
        let Some(client) = store.authority().client(store, &id).await? else { continue };
        lines.push(AppLine {
            client_path: url::form_urlencoded::byte_serialize(id.as_str().as_bytes()).collect(),
            app: card(&client),
            scopes: scopes.iter().map(consent::scope_in_words).collect(),
            since: When::new(since.date()),
        });
    }
    Ok(lines)
}

pub async fn revoke(Path(client): Path<String>, form: SignedInForm) -> Result<Response, PageError> {
    let person = &form.person;
    let gone = Flash::bad("That app doesn’t use your account any more.");
    let flash = match ClientId::parse(&client) {
        Err(_) => gone,
        Ok(client) => match manage::revoke(&person.app().manager(), &person.by(), person.user.id, client).await {
            Ok(()) => Flash::ok("The app is removed. It has to ask you again."),
            Err(ManageError::NotFound(_)) => gone,
            Err(error) => return Err(person.error(error)),
        },
    };
    Ok(then(person, flash, HERE))
}
