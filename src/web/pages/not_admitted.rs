//! The page for a user who may not use a client (`allowed_groups`). It shows the signed-in user, a link for switching
//! accounts, and the way back to the client, which gets `access_denied`. [`super::device`] uses the same page.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::consent::signed_in;
use super::views::NotAdmittedPage;
use super::{requesting_app_card, user_card, waiting, waiting_client};
use crate::domain::user::User;
use crate::protocol::client_access::AccessPoint;
use crate::web::error::{PageError, render};
use crate::web::error_report::ReportedError;
use crate::web::extract::{Form, PathParam, Visitor};
use crate::web::oauth::authorize::render_outcome;
use crate::web::urls;
use crate::web::view::{AppCard, Chrome, DisplayTime};

pub async fn show(visitor: Visitor, PathParam(id): PathParam<String>) -> Result<Response, PageError> {
    let waiting = match waiting(&visitor, &id, "").await? {
        Ok(waiting) => waiting,
        Err(goes_on) => return Ok(goes_on),
    };
    let provider = &visitor.app.provider;
    let client = waiting_client(&visitor, &waiting).await?;
    let Some(user) = signed_in(&visitor).await? else {
        return Ok(Redirect::to(&urls::resume(waiting.id)).into_response());
    };
    // Access may have been granted since.
    if provider.is_client_open_to(&client, user.id).await.map_err(|error| visitor.error(error))? {
        return Ok(Redirect::to(&urls::resume(waiting.id)).into_response());
    }
    let ways = NotAdmittedLinks { switch: urls::select_account(waiting.id), leave: urls::not_admitted(waiting.id) };
    let mut response = page(&visitor, requesting_app_card(&client, &waiting), &user, ways);
    let error = AccessPoint::SignIn.error_for(user.id, &client.id);
    response.extensions_mut().insert(ReportedError { error, sent_to_client: false });
    Ok(response)
}

pub async fn submit(PathParam(id): PathParam<String>, form: Form) -> Result<Response, PageError> {
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
            let refusal = AccessPoint::SignIn.error();
            render_outcome(
                visitor,
                visitor.app.provider.end_with_error(&waiting, visitor.session.as_ref(), refusal).await,
            )
            .await
        }
        _ => Ok(Redirect::to(&urls::not_admitted(waiting.id)).into_response()),
    }
}

/// The links of the page.
pub struct NotAdmittedLinks {
    /// The URL for switching accounts.
    pub switch: String,
    /// The URL that the form with the denial is posted to.
    pub leave: String,
}

pub fn page(visitor: &Visitor, app: AppCard, user: &User, ways: NotAdmittedLinks) -> Response {
    let page = NotAdmittedPage {
        chrome: Chrome::of(&visitor.app),
        csrf: visitor.form_token(),
        app,
        user: user_card(user),
        switch_account: ways.switch,
        action: ways.leave,
        request_id: visitor.origin.request_id.clone(),
        time: DisplayTime::new(visitor.app.env().now().date()),
    };
    (StatusCode::FORBIDDEN, render(&page)).into_response()
}
