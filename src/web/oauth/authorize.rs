//! The authorization endpoint over HTTP: a GET is decided, a POST becomes a GET, and a page that is done comes back to
//! `/oauth2/authorize/{id}`. Next door: `protocol::authorize`, which decides.

use axum::extract::{RawQuery, Request};
use axum::response::{IntoResponse, Redirect, Response};

use crate::domain::ids::InteractionId;
use crate::domain::interaction::ResponseMode;
use crate::protocol::authorize::{Browser, Outcome, Refused, Reply, Step};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::web::error::{PageError, log_returned, render};
use crate::web::extract::{InPath, Visitor, form};
use crate::web::pages::views::FormPostPage;
use crate::web::urls;
use crate::web::view::Chrome;

/// What a query may have, so that with the rest of the header block it is read (`web::limits`).
const MOST_QUERY_BYTES: usize = 12 * 1024;

pub async fn get(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(|error| visitor.error(error))?;
    let browser = Browser {
        digest: visitor.browser.digest(&visitor.app),
        session: visitor.session.as_ref(),
        address: &visitor.origin.address,
    };
    let outcome = visitor.app.provider.authorize(&parameters, browser).await;
    answer(&visitor, outcome)
}

/// A POST from another site comes without the session's cookie (SameSite=Lax): the browser is sent to ask again by GET.
pub async fn post(visitor: Visitor, request: Request) -> Result<Response, PageError> {
    let parameters = form(&visitor.app, request).await.map_err(|error| visitor.error(error))?;
    asked_again(&visitor, urls::ENDPOINTS.authorization, &parameters)
}

/// The redirect to the same request by GET.
pub fn asked_again(visitor: &Visitor, endpoint: &str, parameters: &Parameters) -> Result<Response, PageError> {
    let encoded = parameters.encoded();
    if encoded.len() > MOST_QUERY_BYTES {
        return Err(visitor.error(OAuthError::new(ErrorCode::InvalidRequest, "The app's request is too large.")));
    }
    Ok(Redirect::to(&format!("{endpoint}?{encoded}")).into_response())
}

pub async fn resume(visitor: Visitor, InPath(id): InPath<String>) -> Result<Response, PageError> {
    let waiting = super::super::pages::waiting(&visitor, &id).await?;
    let outcome = visitor.app.provider.resume(&waiting, visitor.session.as_ref()).await;
    answer(&visitor, outcome)
}

/// Renders whatever was decided.
pub fn answer(visitor: &Visitor, outcome: Result<Outcome, Refused>) -> Result<Response, PageError> {
    match outcome {
        Ok(Outcome::Reply(reply)) => Ok(send(visitor, reply)),
        Ok(Outcome::Ask(step, id)) => Ok(Redirect::to(&page(&step, id)).into_response()),
        Err(Refused::Shown(error)) => Err(visitor.error(error)),
        Err(Refused::Returned(to, error)) => {
            log_returned(&error);
            Ok(send(visitor, Reply::error(&visitor.app.provider.issuer, &to, &error)))
        }
    }
}

fn page(step: &Step, id: InteractionId) -> String {
    match step {
        Step::Login => urls::login(id),
        Step::SignUp => urls::sign_up(id),
        Step::SelectAccount => urls::select_account(id),
        Step::Consent => urls::consent(id),
        // Both have been answered before a page is chosen.
        Step::Issue(()) | Step::Refuse(_) => urls::resume(id),
    }
}

fn send(visitor: &Visitor, reply: Reply) -> Response {
    if reply.mode != ResponseMode::FormPost {
        // 303: whatever the browser did to get here, it goes on with a GET and sends no form along (RFC 9700 §4.12).
        return Redirect::to(&reply.location()).into_response();
    }
    render(&FormPostPage {
        chrome: Chrome::of(&visitor.app),
        action: reply.redirect_uri,
        fields: reply.parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    })
}
