//! Choosing who goes on to the app: whoever is signed in here, or somebody else.

use axum::response::{IntoResponse, Redirect, Response};

use super::consent::signed_in;
use super::views::{AccountLine, SelectAccountPage};
use super::{asking, person, record, waiting};
use crate::domain::interaction::Progress;
use crate::web::error::{PageError, render};
use crate::web::extract::{Form, InPath, Visitor};
use crate::web::urls;
use crate::web::view::Chrome;

pub async fn show(visitor: Visitor, InPath(id): InPath<String>) -> Result<Response, PageError> {
    let waiting = waiting(&visitor, &id).await?;
    let client = visitor.app.provider.waiting_client(&waiting).await.map_err(|error| visitor.error(error))?;
    let accounts = signed_in(&visitor).await?.into_iter().map(|user| {
        let shown = person(&user);
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
        csrf: visitor.form_token(),
        action: urls::select_account(waiting.id),
        app: Some(asking(&client, &waiting)),
        accounts: accounts.collect(),
    }))
}

pub async fn submit(InPath(id): InPath<String>, form: Form) -> Result<Response, PageError> {
    let visitor = &form.visitor;
    let waiting = waiting(visitor, &id).await?;
    let current = visitor.session.as_ref().map(|session| session.user);
    let progress = match form.text("account")? {
        "new" => Progress { use_another_account: true, selected: None, signed_in_at: None, ..waiting.progress.clone() },
        chosen if current.is_some_and(|user| user.to_string() == chosen) => {
            Progress { selected: current, use_another_account: false, ..waiting.progress.clone() }
        }
        _ => return Ok(Redirect::to(&urls::select_account(waiting.id)).into_response()),
    };
    record(visitor, &waiting, progress).await?;
    Ok(Redirect::to(&urls::resume(waiting.id)).into_response())
}
