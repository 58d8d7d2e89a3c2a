//! Telling a user that they may not use an app (`allowed_groups`): who they are here, a way to another account, and the way back
//! to the app, which gets `access_denied`. The page of a device ([`super::device`]) is the same one.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::consent::signed_in;
use super::views::NotAdmittedPage;
use super::{asking, person, waiting, waiting_client};
use crate::domain::user::User;
use crate::protocol::client_access::AccessPoint;
use crate::web::error::{PageError, render};
use crate::web::extract::{Form, InPath, Visitor};
use crate::web::oauth::authorize::answer;
use crate::web::refused::Refused;
use crate::web::urls;
use crate::web::view::{AppCard, Chrome, When};

pub async fn show(visitor: Visitor, InPath(id): InPath<String>) -> Result<Response, PageError> {
    let waiting = match waiting(&visitor, &id, "").await? {
        Ok(waiting) => waiting,
        Err(goes_on) => return Ok(goes_on),
    };
    let provider = &visitor.app.provider;
    let client = waiting_client(&visitor, &waiting).await?;
    let Some(user) = signed_in(&visitor).await? else {
        return Ok(Redirect::to(&urls::resume(waiting.id)).into_response());
    };
    // Somebody may have let the user in since.
    if provider.is_client_open_to(&client, user.id).await.map_err(|error| visitor.error(error))? {
        return Ok(Redirect::to(&urls::resume(waiting.id)).into_response());
    }
    let ways = Ways { switch: urls::select_account(waiting.id), leave: urls::not_admitted(waiting.id) };
    let mut response = page(&visitor, asking(&client, &waiting), &user, ways);
    let error = AccessPoint::SignIn.refusal_of(user.id, &client.id);
    response.extensions_mut().insert(Refused { error, returned: false });
    Ok(response)
}

pub async fn submit(InPath(id): InPath<String>, form: Form) -> Result<Response, PageError> {
    let visitor = &form.visitor;
    let waiting = match waiting(visitor, &id, "").await? {
        Ok(waiting) => waiting,
        Err(goes_on) => return Ok(goes_on),
    };
    if !form.is_current() {
        return Ok(Redirect::to(&urls::not_admitted(waiting.id)).into_response());
    }
    match form.text("decision")? {
        "deny" => {
            let refusal = AccessPoint::SignIn.refusal();
            answer(visitor, visitor.app.provider.refuse(&waiting, visitor.session.as_ref(), refusal).await).await
        }
        _ => Ok(Redirect::to(&urls::not_admitted(waiting.id)).into_response()),
    }
}

/// Where the page leads.
pub struct Ways {
    /// The address at which another account is chosen.
    pub switch: String,
    /// Where the form is posted that gives the answer no.
    pub leave: String,
}

pub fn page(visitor: &Visitor, app: AppCard, user: &User, ways: Ways) -> Response {
    let page = NotAdmittedPage {
        chrome: Chrome::of(&visitor.app),
        csrf: visitor.form_token(),
        app,
        person: person(user),
        switch_account: ways.switch,
        action: ways.leave,
        request_id: visitor.origin.request_id.clone(),
        time: When::new(visitor.app.env().now().date()),
    };
    (StatusCode::FORBIDDEN, render(&page)).into_response()
}
