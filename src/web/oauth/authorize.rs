//! The authorization endpoint over HTTP: handles requests by GET and POST, and resumes an interaction at
//! `/oauth2/authorize/{id}` after a page has recorded its result. See also `protocol::authorize`, which decides.

use axum::extract::{RawQuery, Request};
use axum::response::{IntoResponse, Redirect, Response};

use crate::domain::ids::{ClientId, InteractionId};
use crate::domain::interaction::ResponseMode;
use crate::protocol::authorize::{
    AuthorizationResponse, AuthorizeError as NotIssued, AuthorizeOutcome, BrowserContext, InteractionState,
    InteractionStep,
};
use crate::protocol::error::ErrorCode;
use crate::protocol::parameters::Parameters;
use crate::web::error::{PageError, render};
use crate::web::error_report::ReportedError;
use crate::web::extract::{PathParam, Visitor, form};
use crate::web::origin::is_own;
use crate::web::pages::views::FormPostPage;
use crate::web::pages::{CARRIED_APP, find, interaction_gone, request_error_page, too_late};
use crate::web::urls;
use crate::web::view::Chrome;

/// The longest query in a redirect of this server. Proxies hold response headers in buffers of limited size.
const MAX_QUERY_BYTES: usize = 12 * 1024;
/// The field that marks the form of [`resubmit_page`].
pub const RESUBMITTED: &str = "sent_again";

pub async fn get(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(|error| visitor.error(error))?;
    decide(visitor, &parameters).await
}

async fn decide(visitor: Visitor, parameters: &Parameters) -> Result<Response, PageError> {
    let named = parameters.one("client_id").ok().flatten().and_then(|id| ClientId::parse(id).ok());
    if let Some(id) = &named {
        visitor.named.set(id);
    }
    let browser = BrowserContext {
        digest: visitor.browser.digest(&visitor.app),
        session: visitor.session.as_ref(),
        origin: &visitor.origin,
    };
    match Box::pin(visitor.app.provider.authorize(parameters, browser)).await {
        Err(NotIssued::Shown(error)) => {
            let is_invalid = error.code.status() == 400 && error.code != ErrorCode::UnauthorizedClient;
            let page = with_client_link(&visitor, named.as_ref(), visitor.error(error)).await;
            Err(if is_invalid { page.titled("The app’s request isn’t valid") } else { page })
        }
        outcome => render_outcome(&visitor, outcome).await,
    }
}

/// Adds a link back to the client, if it is known, to the page of an error that cannot be sent to the client.
pub async fn with_client_link(visitor: &Visitor, named: Option<&ClientId>, page: PageError) -> PageError {
    let Some(id) = named else { return page };
    match visitor.app.provider.client(id).await {
        Ok(Some(client)) => page.about(&client),
        Ok(None) | Err(_) => page,
    }
}

/// Handles a POST. One from another site comes without the browser's cookies (`SameSite=Lax`). If the parameters fit
/// into a URL, the browser is redirected to a GET, which sends the cookies and needs no script. Otherwise a page
/// sends the form again.
pub async fn post(visitor: Visitor, request: Request) -> Result<Response, PageError> {
    let is_own = is_own(request.headers(), &visitor.app);
    let parameters = form(&visitor.app, request).await.map_err(|error| visitor.error(error))?;
    if is_own || parameters.has(RESUBMITTED) {
        return decide(visitor, &parameters).await;
    }
    let (endpoint, encoded) = (urls::ENDPOINTS.authorization, parameters.encoded());
    if encoded.len() > MAX_QUERY_BYTES {
        return Ok(resubmit_page(&visitor, endpoint, &parameters));
    }
    Ok(Redirect::to(&format!("{endpoint}?{encoded}")).into_response())
}

/// Returns a page that sends the fields of another site's form again, as a form of this server and so with the
/// browser's cookies. The form is marked with [`RESUBMITTED`], so that a browser that hides the origin of forms does
/// not loop.
pub fn resubmit_page(visitor: &Visitor, endpoint: &str, parameters: &Parameters) -> Response {
    let parameters = parameters.with(RESUBMITTED, "1");
    render(&FormPostPage {
        chrome: Chrome::of(&visitor.app),
        heading: "One moment",
        action: endpoint.to_owned(),
        fields: parameters.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    })
}

pub async fn resume(
    visitor: Visitor,
    PathParam(id): PathParam<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let query = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(|error| visitor.error(error))?;
    let carried = query.one(CARRIED_APP).map_err(|error| visitor.error(error))?.unwrap_or_default();
    let session = visitor.session.as_ref();
    match find(&visitor, &id, carried).await? {
        None => interaction_gone(&visitor).await,
        Some(InteractionState::Waiting(waiting)) => {
            match visitor.app.provider.resume(&waiting, session, &visitor.origin).await {
                Err(NotIssued::Shown(error)) => {
                    let page = request_error_page(&visitor, error);
                    Err(with_client_link(&visitor, Some(&waiting.request.client), page).await)
                }
                outcome => render_outcome(&visitor, outcome).await,
            }
        }
        Some(InteractionState::Ended(over)) => {
            let before = visitor.app.provider.repeat(&over, session).await.map_err(|error| visitor.error(error))?;
            match before {
                Some(reply) => Ok(send(&visitor, reply)),
                None => too_late(&visitor, &over).await,
            }
        }
    }
}

/// Renders the outcome of a decision.
pub async fn render_outcome(
    visitor: &Visitor,
    outcome: Result<AuthorizeOutcome, NotIssued>,
) -> Result<Response, PageError> {
    match outcome {
        Ok(AuthorizeOutcome::Reply(reply)) => Ok(send(visitor, reply)),
        Ok(AuthorizeOutcome::ShowPage(step, id)) => Ok(Redirect::to(&page(&step, id)).into_response()),
        Ok(AuthorizeOutcome::Over(over)) => too_late(visitor, &over).await,
        Err(NotIssued::Shown(error)) => Err(visitor.error(error)),
        Err(NotIssued::Redirect(to, error)) => {
            let mut response = send(visitor, AuthorizationResponse::error(&visitor.app.provider.issuer, &to, &error));
            response.extensions_mut().insert(ReportedError { error, sent_to_client: true });
            Ok(response)
        }
    }
}

fn page(step: &InteractionStep, id: InteractionId) -> String {
    match step {
        InteractionStep::Login => urls::login(id),
        InteractionStep::SignUp => urls::sign_up(id),
        InteractionStep::SelectAccount => urls::select_account(id),
        InteractionStep::Consent => urls::consent(id),
        InteractionStep::NotAdmitted => urls::not_admitted(id),
        // These outcomes have been handled before a page is chosen.
        InteractionStep::Issue(()) | InteractionStep::Reject(_) => urls::resume(id),
    }
}

fn send(visitor: &Visitor, reply: AuthorizationResponse) -> Response {
    if reply.mode != ResponseMode::FormPost {
        // 303: the browser continues with a GET and does not send the form along (RFC 9700 §4.12).
        return Redirect::to(&reply.location()).into_response();
    }
    render(&FormPostPage {
        chrome: Chrome::of(&visitor.app),
        heading: "Going back to the app",
        action: reply.redirect_uri,
        fields: reply.parameters.into_iter().map(|(name, value)| (name.into_owned(), value)).collect(),
    })
}
