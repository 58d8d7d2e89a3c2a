//! The account selection page: continue as the signed-in user, or switch accounts.

use axum::response::{IntoResponse, Redirect, Response};

use super::consent::signed_in;
use super::views::{AccountLine, SelectAccountPage};
use super::{
    CARRIED_APP, SESSION_CHANGED_NOTICE, carried_app, record, requesting_app_card, resumed, user_card, waiting,
    waiting_client,
};
use crate::domain::interaction::{Interaction, InteractionProgress};
use crate::web::error::{PageError, render};
use crate::web::extract::{Form, PathParam, Visitor};
use crate::web::urls;
use crate::web::view::Chrome;

pub async fn show(visitor: Visitor, PathParam(id): PathParam<String>) -> Result<Response, PageError> {
    match waiting(&visitor, &id, "").await? {
        Ok(waiting) => page(&visitor, &waiting, None).await,
        Err(goes_on) => Ok(goes_on),
    }
}

async fn page(visitor: &Visitor, waiting: &Interaction, notice: Option<&'static str>) -> Result<Response, PageError> {
    let client = waiting_client(visitor, waiting).await?;
    let accounts = signed_in(visitor).await?.into_iter().map(|user| {
        let shown = user_card(&user);
        AccountLine {
            id: user.id.to_string(),
            name: shown.name,
            detail: shown.detail,
            initials: shown.initials,
            signed_in: true,
        }
    });
    Ok(render(&SelectAccountPage {
        chrome: Chrome::of(&visitor.app),
        notice,
        csrf: visitor.form_token(),
        carried_app: carried_app(visitor, &client),
        action: urls::select_account(waiting.id),
        app: Some(requesting_app_card(&client, waiting)),
        accounts: accounts.collect(),
    }))
}

pub async fn submit(PathParam(id): PathParam<String>, form: Form) -> Result<Response, PageError> {
    let visitor = &form.visitor;
    let waiting = match waiting(visitor, &id, form.text(CARRIED_APP)?).await? {
        Ok(waiting) => waiting,
        Err(goes_on) => return Ok(goes_on),
    };
    if !form.is_current() {
        return page(visitor, &waiting, Some(SESSION_CHANGED_NOTICE)).await;
    }
    let current = visitor.session.as_ref().map(|session| session.user);
    let progress = match form.text("account")? {
        "new" => InteractionProgress {
            use_another_account: true,
            selected: None,
            signed_in_at: None,
            sign_in: None,
            ..waiting.progress.clone()
        },
        chosen if current.is_some_and(|user| user.to_string() == chosen) => {
            InteractionProgress { selected: current, use_another_account: false, ..waiting.progress.clone() }
        }
        _ => return Ok(Redirect::to(&urls::select_account(waiting.id)).into_response()),
    };
    record(visitor, &waiting, progress).await?;
    Ok(resumed(waiting.id))
}
