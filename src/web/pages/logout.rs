//! Sign-out, from a client (OpenID Connect RP-Initiated Logout 1.0) or from a page of this server. The last page
//! notifies clients in frames (OpenID Connect Front-Channel Logout 1.0 §2).

use std::collections::BTreeSet;

use axum::extract::{FromRequest as _, RawQuery, Request};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};

use super::consent::signed_in;
use super::views::{LogoutPage, SignedOutPage};
use super::{app_card, user_card};
use crate::domain::ids::ClientId;
use crate::protocol::frontchannel_logout::LogoutFrame;
use crate::protocol::logout::LogoutRequest;
use crate::protocol::parameters::Parameters;
use crate::web::error::{PageError, render};
use crate::web::error_report::ReportedError;
use crate::web::extract::{Form, Visitor, form};
use crate::web::layers;
use crate::web::oauth::authorize::{RESUBMITTED, resubmit_page};
use crate::web::origin::is_own;
use crate::web::sign_in;
use crate::web::urls::ENDPOINTS;
use crate::web::view::Chrome;

const REQUEST: [&str; 4] = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];

pub async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(|error| visitor.error(error))?;
    ask(visitor, &parameters).await
}

async fn ask(visitor: Visitor, parameters: &Parameters) -> Result<Response, PageError> {
    let checked = visitor.app.provider.check_logout(parameters, visitor.session.as_ref()).await;
    let request = checked.map_err(|error| visitor.error(error))?;
    let named = parameters.one("client_id").ok().flatten().and_then(|id| ClientId::parse(id).ok());
    request.client.iter().chain(&named).for_each(|id| visitor.named.set(id));
    let dropped = request.dropped.clone();
    let mut response = if visitor.session.is_none() || request.vouched {
        finish(&visitor, request).await?
    } else {
        question(&visitor, &request, parameters).await?
    };
    if let Some(error) = dropped {
        response.extensions_mut().insert(ReportedError { error, sent_to_client: false });
    }
    Ok(response)
}

/// Returns the page that asks whether to sign out.
async fn question(visitor: &Visitor, request: &LogoutRequest, parameters: &Parameters) -> Result<Response, PageError> {
    let client = match &request.client {
        Some(id) => visitor
            .app
            .store()
            .authority()
            .client(visitor.app.store(), id)
            .await
            .map_err(|error| visitor.error(error))?,
        None => None,
    };
    let fields = REQUEST.iter().filter_map(|name| Some(((*name).to_owned(), parameters.one(name).ok()??.to_owned())));
    Ok(render(&LogoutPage {
        chrome: Chrome::of(&visitor.app),
        csrf: visitor.form_token(),
        action: ENDPOINTS.end_session.to_owned(),
        fields: fields.collect(),
        user: signed_in(visitor).await?.as_ref().map(user_card),
        app: client.as_deref().map(app_card),
    }))
}

/// Handles a POST. The form of the page has the field `decision`. A POST without it is a client's request (OpenID
/// Connect RP-Initiated Logout 1.0 §2), and is handled like a GET once it has the browser's cookies.
pub async fn submit(visitor: Visitor, request: Request) -> Result<Response, PageError> {
    let app = visitor.app.clone();
    let (parts, body) = request.into_parts();
    let read = form(&app, Request::from_parts(parts.clone(), body)).await;
    let parameters = read.map_err(|error| visitor.error(error))?;
    if parameters.one("decision").map_err(|error| visitor.error(error))?.is_none() {
        let may_lack_cookies = visitor.session.is_none() && !is_own(&parts.headers, &app);
        if may_lack_cookies && !parameters.has(RESUBMITTED) {
            return Ok(resubmit_page(
                &visitor,
                ENDPOINTS.end_session,
                &parameters.only(|name| REQUEST.contains(&name)),
            ));
        }
        return ask(visitor, &parameters).await;
    }
    let form = Form::from_request(Request::from_parts(parts, parameters.encoded().into()), &app).await?;
    if form.text("decision")? != "allow" {
        return Ok(Redirect::to("/").into_response());
    }
    if !form.is_current() {
        // The form is from another session or was sent twice. A signed-in user is asked again; without a session the
        // sign-out is complete.
        return ask(form.visitor, &form.fields.without(&["decision", "csrf"])).await;
    }
    let checked = app.provider.check_logout(&form.fields, form.visitor.session.as_ref()).await;
    let request = checked.map_err(|error| form.visitor.error(error))?;
    finish(&form.visitor, request).await
}

async fn finish(visitor: &Visitor, request: LogoutRequest) -> Result<Response, PageError> {
    let participants = sign_in::sign_out(visitor).await?;
    let frames = visitor.app.provider.logout_frames(&participants).await.map_err(|error| visitor.error(error))?;
    match request.back {
        back if request.by_link => Ok(signed_out(visitor, frames, None, back)),
        Some(back) if frames.is_empty() => Ok(Redirect::to(&back).into_response()),
        next => Ok(signed_out(visitor, frames, next, None)),
    }
}

fn signed_out(visitor: &Visitor, frames: Vec<LogoutFrame>, next: Option<String>, link: Option<String>) -> Response {
    let origins: BTreeSet<String> = frames.iter().map(|frame| frame.origin.clone()).collect();
    let frames: Vec<String> = frames.into_iter().map(|frame| frame.address).collect();
    let policy = (!origins.is_empty()).then(|| layers::csp_with_frames(&origins)).flatten();
    let mut response = render(&SignedOutPage { chrome: Chrome::of(&visitor.app), frames, next, link });
    response.headers_mut().extend(policy.map(|policy| (header::CONTENT_SECURITY_POLICY, policy)));
    response
}
