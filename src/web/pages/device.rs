//! Device authorization (RFC 8628 §3.3, §5.4). The user enters the code, which is never taken from a URL without
//! confirmation. Then the page shows which client asks, from where and for what, and the user compares the code.
//! Between the two pages the browser carries a sealed ticket. It proves that the code was entered in this browser,
//! and is useless in another one.
//!
//! See also `protocol::device`, which looks up codes and records decisions, and [`super::consent`], which has the
//! texts for scopes.

use axum::Extension;
use axum::extract::RawQuery;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};

use super::consent::{lines, signed_in};
use super::not_admitted::{self, NotAdmittedLinks};
use super::views::{DeviceConfirmPage, DeviceDonePage, DevicePage};
use super::{SESSION_CHANGED_NOTICE, app_card, login, user_card};
use crate::domain::device::UserCode;
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::ids::{EventId, UserId};
use crate::domain::secret::Digest;
use crate::domain::user::User;
use crate::identity::throttle::{self, UserCodeAttempt};
use crate::keys::seal;
use crate::protocol::client_access::AccessPoint;
use crate::protocol::device::{DeviceAnswerOutcome, PendingDevice};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::store::events;
use crate::web::device::describe;
use crate::web::error::{PageError, PageLink, render};
use crate::web::extract::{Form, PathParam, Visitor};
use crate::web::flash::Flash;
use crate::web::urls;
use crate::web::view::{Chrome, DisplayTime};

const USAGE: &str = "device";
/// A user id that belongs to no user. A browser that knows it has had a valid code entered before.
const CODE_ENTERED_MARKER: UserId = UserId(uuid::Uuid::nil());
/// The same message for unknown, expired, decided and used codes.
const NO_MATCH: &str = "No device shows this code now. Check it, or let the device show a new one.";

#[derive(Serialize, Deserialize)]
struct DeviceTicket {
    user_code: String,
    browser: Digest,
}

/// Shows the page for entering a code or, after a decision, its result.
pub async fn ask(
    flash: Option<Extension<Flash>>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    if let Some(Extension(flash)) = flash {
        return Ok(render(&DeviceDonePage { chrome: Chrome::of(&visitor.app), allowed: !flash.is_bad() }));
    }
    let query = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(|error| visitor.error(error))?;
    let sent = query.one("user_code").map_err(|error| visitor.error(error))?.unwrap_or_default();
    // An invalid code in the query is not put into the form.
    let user_code = UserCode::parse(sent).map(|code| code.to_string()).unwrap_or_default();
    Ok(render(&page(&visitor, user_code, None)))
}

/// Handles an entered code: redirects to the confirmation page if a device is waiting with it.
pub async fn typed(form: Form) -> Result<Response, PageError> {
    let visitor = &form.visitor;
    let typed = form.text("user_code")?;
    if !form.is_of_browser() {
        let error = login::form_rejection(&form).1;
        let page = page(visitor, shown(typed), Some(format!("{} {}", error.lead, error.text)));
        return Ok((StatusCode::BAD_REQUEST, render(&page)).into_response());
    }
    let store = visitor.app.store();
    let attempt = UserCodeAttempt {
        browser: visitor.browser.name(),
        address: visitor.origin.address.clone(),
        user: visitor.session.as_ref().map(|session| session.user),
        is_known_browser: visitor.browser.is_known_user(&visitor.app, CODE_ENTERED_MARKER),
    };
    let counted = throttle::count_user_code(store, &attempt).await;
    let counted = match counted.map_err(|error| visitor.error(error))? {
        Ok(counted) => counted,
        Err(too_many) => {
            if too_many.first {
                record_code_guessing(visitor).await?;
            }
            let wait = too_many.wait(visitor.app.env().now());
            let page = page(visitor, shown(typed), Some(format!("Too many tries. Wait {wait}, then try again.")));
            tracing::warn!("a device's code was not looked at");
            let retry = [(header::RETRY_AFTER, HeaderValue::from_static("60"))];
            return Ok((StatusCode::TOO_MANY_REQUESTS, retry, render(&page)).into_response());
        }
    };
    let Some((code, _)) = waiting(visitor, typed).await? else {
        return Ok(render(&page(visitor, shown(typed), Some(NO_MATCH.to_owned()))));
    };
    throttle::take_back(store, counted).await.map_err(|error| visitor.error(error))?;
    let ticket = DeviceTicket { user_code: code.to_string(), browser: visitor.browser.digest(&visitor.app) };
    let broken = |cause: String| {
        visitor.error(OAuthError::new(ErrorCode::ServerError, "Something went wrong here.").with_cause(cause))
    };
    let plain = serde_json::to_vec(&ticket).map_err(|error| broken(error.to_string()))?;
    let sealed = seal::seal(&visitor.app.provider.master, USAGE, &plain).map_err(|error| broken(error.to_string()))?;
    let mut response = Redirect::to(&urls::device(&sealed)).into_response();
    if let Some(cookie) = visitor.browser.remember(&visitor.app, CODE_ENTERED_MARKER) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Shows the confirmation page.
pub async fn confirm(visitor: Visitor, PathParam(ticket): PathParam<String>) -> Result<Response, PageError> {
    let opened = open_ticket(&visitor, &ticket).await?;
    let Some(user) = signed_in(&visitor).await? else { return Ok(to_sign_in(&ticket)) };
    let (code, waiting) = match opened {
        OpenedTicket::Waiting(code, waiting) => (code, waiting),
        OpenedTicket::Finished(code) => return finished(&visitor, &code).await,
    };
    let is_open = visitor.app.provider.is_client_open_to(&waiting.client, user.id).await;
    if !is_open.map_err(|error| visitor.error(error))? {
        let (provider, client) = (&visitor.app.provider, &waiting.client.id);
        let at = AccessPoint::DeviceApproval;
        let recorded = provider.record_access_refused(user.id, client, at, &visitor.origin).await;
        recorded.map_err(|error| visitor.error(error))?;
        return Ok(not_admitted(&visitor, &ticket, &waiting, &user));
    }
    Ok(render(&question(&visitor, &ticket, &code, &waiting, &user, None).await?))
}

/// Returns the page for a user who may not use the client. The request stays pending, so that another account can
/// approve it.
fn not_admitted(visitor: &Visitor, ticket: &str, waiting: &PendingDevice, user: &User) -> Response {
    let here = urls::device(ticket);
    let ways = NotAdmittedLinks { switch: urls::login_with_next(&here), leave: here };
    not_admitted::page(visitor, app_card(&waiting.client), user, ways)
}

/// Handles the user's decision.
pub async fn decide(PathParam(ticket): PathParam<String>, form: Form) -> Result<Response, PageError> {
    let visitor = &form.visitor;
    let opened = open_ticket(visitor, &ticket).await?;
    let (Some(session), Some(user)) = (&visitor.session, signed_in(visitor).await?) else {
        return Ok(to_sign_in(&ticket));
    };
    let (code, waiting) = match opened {
        OpenedTicket::Waiting(code, waiting) => (code, waiting),
        // Decided already: a second click leads to the same page as the first.
        OpenedTicket::Finished(code) => return finished(visitor, &code).await,
    };
    if !form.is_current() {
        return Ok(render(&question(visitor, &ticket, &code, &waiting, &user, Some(SESSION_CHANGED_NOTICE)).await?));
    }
    let allow = match form.text("decision")? {
        "allow" => true,
        "deny" => false,
        _ => return Ok(Redirect::to(&urls::device(&ticket)).into_response()),
    };
    let answered = visitor.app.provider.decide_device(&waiting, session, allow, visitor.origin.clone()).await;
    match answered.map_err(|error| visitor.error(error))? {
        DeviceAnswerOutcome::Done => Ok(decided(visitor, allow)),
        DeviceAnswerOutcome::TooLate => finished(visitor, &code).await,
        DeviceAnswerOutcome::SignedOut => Ok(to_sign_in(&ticket)),
        DeviceAnswerOutcome::NotAdmitted => Ok(not_admitted(visitor, &ticket, &waiting, &user)),
    }
}

/// Redirects to the page that shows the result.
fn decided(visitor: &Visitor, allowed: bool) -> Response {
    let said = if allowed { Flash::ok("The device is connected.") } else { Flash::bad("The device is not connected.") };
    said.redirect(&visitor.app, &visitor.browser, urls::DEVICE)
}

/// Returns the result for a device that is not pending any more: the decision if it was made in this session,
/// otherwise the form.
async fn finished(visitor: &Visitor, code: &UserCode) -> Result<Response, PageError> {
    let decided_before = match &visitor.session {
        Some(session) => visitor.app.provider.device_decision(code, session.id).await,
        None => Ok(None),
    };
    Ok(match decided_before.map_err(|error| visitor.error(error))? {
        Some(allowed) => decided(visitor, allowed),
        None => too_late(visitor),
    })
}

fn to_sign_in(ticket: &str) -> Response {
    Redirect::to(&urls::login_with_next(&urls::device(ticket))).into_response()
}

fn too_late(visitor: &Visitor) -> Response {
    render(&page(visitor, String::new(), Some(NO_MATCH.to_owned())))
}

/// Returns the code in its canonical form. Other input is returned unchanged, but cut to 20 characters.
fn shown(typed: &str) -> String {
    UserCode::parse(typed).map_or_else(|| typed.chars().take(20).collect(), |code| code.to_string())
}

fn page(visitor: &Visitor, user_code: String, error: Option<String>) -> DevicePage {
    DevicePage {
        chrome: Chrome::of(&visitor.app),
        csrf: visitor.form_token(),
        action: urls::DEVICE.to_owned(),
        user_code,
        error,
    }
}

async fn waiting(visitor: &Visitor, typed: &str) -> Result<Option<(UserCode, PendingDevice)>, PageError> {
    let Some(code) = UserCode::parse(typed) else { return Ok(None) };
    let found = visitor.app.provider.pending_device(&code).await.map_err(|error| visitor.error(error))?;
    Ok(found.map(|waiting| (code, waiting)))
}

/// The state of the device authorization with the ticket's code.
enum OpenedTicket {
    Waiting(UserCode, Box<PendingDevice>),
    Finished(UserCode),
}

async fn open_ticket(visitor: &Visitor, sealed: &str) -> Result<OpenedTicket, PageError> {
    let ticket = seal::open(&visitor.app.provider.master, USAGE, sealed).ok();
    let ticket = ticket.and_then(|plain| serde_json::from_slice::<DeviceTicket>(&plain).ok());
    let ours = ticket.filter(|ticket| ticket.browser == visitor.browser.digest(&visitor.app));
    let Some(ticket) = ours else {
        let text = "There is no such question. Type the code that the device shows.";
        let error = visitor.error(OAuthError::new(ErrorCode::InvalidRequest, text));
        let ways = vec![PageLink::new("Type a code", urls::DEVICE)];
        return Err(error.titled("This question isn’t for this browser").with_links(ways));
    };
    // The ticket itself does not expire. The row of the request does, by the database's clock.
    if let Some((code, waiting)) = waiting(visitor, &ticket.user_code).await? {
        return Ok(OpenedTicket::Waiting(code, Box::new(waiting)));
    }
    let broken = || visitor.error(OAuthError::new(ErrorCode::ServerError, "Something went wrong here."));
    UserCode::parse(&ticket.user_code).map(OpenedTicket::Finished).ok_or_else(broken)
}

async fn question(
    visitor: &Visitor,
    ticket: &str,
    code: &UserCode,
    waiting: &PendingDevice,
    user: &User,
    notice: Option<&'static str>,
) -> Result<DeviceConfirmPage, PageError> {
    let apis = visitor.app.store().authority().apis(visitor.app.store()).await.map_err(|error| visitor.error(error))?;
    let request = &waiting.request;
    Ok(DeviceConfirmPage {
        chrome: Chrome::of(&visitor.app),
        notice,
        csrf: visitor.form_token(),
        action: urls::device(ticket),
        app: app_card(&waiting.client),
        user: user_card(user),
        user_code: code.to_string(),
        device: describe(&request.user_agent),
        address: request.address.clone(),
        asked: DisplayTime::new(request.issued_at.date()),
        scopes: lines(&request.permissions, user, &apis),
        switch_account: urls::switch_account(&urls::device(ticket)),
    })
}

async fn record_code_guessing(visitor: &Visitor) -> Result<(), PageError> {
    let event = Event {
        id: EventId(visitor.app.env().uuid()),
        at: visitor.app.env().now(),
        kind: EventKind::RequestRefused,
        actor: visitor.session.as_ref().map_or(Actor::Anonymous, |session| Actor::User(session.user)),
        user: visitor.session.as_ref().map(|session| session.user),
        client: None,
        origin: visitor.origin.clone(),
        detail: "too many codes of devices were tried".to_owned(),
    };
    events::record_budget_exhausted(visitor.app.store(), event).await.map_err(|error| visitor.error(error))
}
