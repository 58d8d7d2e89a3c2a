//! `/account/api-keys`: lists, creates and revokes the user's API keys. Creating one requires a recent
//! sign-in, because a key outlives the session.

use axum::response::{IntoResponse, Redirect, Response};

use super::redirect_with_flash;
use super::views::{ApiKeysPage, NewApiKeyPage};
use crate::domain::api::Api;
use crate::domain::api_key::Owner;
use crate::domain::gate::GateName;
use crate::domain::ids::ApiKeyId;
use crate::manage::{ManageError, api_keys as manage};
use crate::web::api_keys::{FIELDS, KeyForm, KeyFormOutcome, api_for_gate, apis, choices, lines, submit};
use crate::web::error::{PageError, render};
use crate::web::extract::{PathParam, RecentForm, SignedIn, SignedInForm, is_recent};
use crate::web::flash::Flash;
use crate::web::urls;
use crate::web::view::Chrome;
use crate::web::view::visible;

const PATH: &str = "/account/api-keys";

pub async fn show(person: SignedIn) -> Result<Response, PageError> {
    Ok(render(&ApiKeysPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        key: person.flash.as_ref().and_then(|flash| flash.secret.clone()),
        keys: lines(&person, Owner::User(person.user.id)).await?,
        apis: choices(&apis(&person).await?),
    }))
}

pub async fn show_new(person: SignedIn, PathParam(gate): PathParam<GateName>) -> Result<Response, PageError> {
    let api = api_for_gate(&person, &gate).await?;
    if !is_recent(person.app(), &person.session) {
        return Ok(Redirect::to(&urls::login_with_next(&format!("{PATH}/new/{}", gate.as_str()))).into_response());
    }
    Ok(render(&form(&person, &gate, &api, KeyForm::blank(&api, |_| true))))
}

pub async fn create(PathParam(gate): PathParam<GateName>, sent: RecentForm) -> Result<Response, PageError> {
    let person = &sent.signed_in;
    sent.complete(&FIELDS)?;
    let api = api_for_gate(person, &gate).await?;
    match submit(person, sent.fields(), Owner::User(person.user.id), &api, |_| true).await? {
        KeyFormOutcome::Key(secret) => {
            let flash = Flash::ok("The key is made.").with_secret(secret.expose().to_owned());
            Ok(redirect_with_flash(person, flash, PATH))
        }
        KeyFormOutcome::Invalid(status, again) => {
            Ok((status, render(&form(person, &gate, &api, again))).into_response())
        }
    }
}

pub async fn revoke(PathParam(id): PathParam<String>, form: SignedInForm) -> Result<Response, PageError> {
    let person = &form.signed_in;
    let gone = Flash::bad("There is no such key any more.");
    let own = Owner::User(person.user.id);
    let flash = match id.parse::<ApiKeyId>() {
        Err(_) => gone,
        Ok(id) => match manage::revoke(&person.app().manager(), &person.by(), id, Some(own)).await {
            Ok(_) => Flash::ok("The key is revoked. It opens nothing any more."),
            Err(ManageError::NotFound(_)) => gone,
            Err(error) => return Err(person.error(error)),
        },
    };
    Ok(redirect_with_flash(person, flash, PATH))
}

fn form(person: &SignedIn, gate: &GateName, api: &Api, form: KeyForm) -> NewApiKeyPage {
    NewApiKeyPage {
        chrome: Chrome::of(person.app()),
        viewer: person.viewer(),
        csrf: person.visitor.form_token(),
        notice: person.notice(),
        gate: gate.as_str().to_owned(),
        api: visible(api.display_name()),
        form,
    }
}
