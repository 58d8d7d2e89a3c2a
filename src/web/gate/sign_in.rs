//! Sign-in at the gate for a browser on a client's host (`gate::session`). [`begin`], [`finish`] and [`sign_out`] run
//! on the client's host, whose proxy forwards `/.signet/` to this server. [`show`] runs at the issuer in between,
//! where the user is signed in or has to sign in. A redirect target from a request must be at an origin of the API.
//!
//! See also [`super`], which sends browsers here, and [`crate::web::pages::login`], which sends them back.

use axum::extract::{FromRequestParts, RawQuery};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::AppState;
use crate::domain::api::Api;
use crate::domain::authorization::Acr;
use crate::domain::event::RequestOrigin;
use crate::domain::gate::GateName;
use crate::domain::web_address::AppOrigin;
use crate::env::Timestamp;
use crate::gate::app_urls::{ReturnTarget, encoded};
use crate::gate::session;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::web::error::{PageError, PageLink};
use crate::web::extract::{PathParam, Visitor, from_proxy, origin};
use crate::web::pages::consent::signed_in;
use crate::web::urls::{self, ENDPOINTS, GATE_SIGN_IN};

/// The sign-in page may stay open for a while.
const STATE_TTL_SECONDS: i64 = 3600;

/// `/gate/sign-in/{gate}?rd=…&state=…`: redirects a signed-in user to the client, and other users to the sign-in
/// page.
pub async fn show(
    visitor: Visitor,
    PathParam(gate): PathParam<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let app = visitor.app.clone();
    let found = app.gate.for_browsers(&gate).await.map_err(|error| visitor.error(error))?;
    let (gate, api) = found.ok_or_else(|| visitor.error(unknown_gate()))?;
    let wish = GateSignInRequest::read(&api, query.as_deref()).map_err(|(error, back)| {
        let page = visitor.error(error).titled("This sign-in wasn’t begun by the app");
        back.into_iter().fold(page, |page, back| page.with_links(vec![PageLink::new("Open the app", back.address())]))
    })?;
    let (Some(session), Some(_)) = (&visitor.session, signed_in(&visitor).await?) else {
        return Ok(Redirect::to(&urls::login_with_next(&wish.return_path(&gate, None))).into_response());
    };
    if wish.acr.is_some_and(|acr| session.method.acr() < acr) {
        // RFC 9470 §5: a stronger sign-in is requested only once.
        if wish.asked_at.is_some_and(|asked_at| session.auth_time >= asked_at) {
            let text = "This page needs a stronger sign-in, with a passkey. Open it again to try once more.";
            let ways = vec![
                PageLink::new("Try again", wish.back.address()),
                PageLink::new("Use another account", urls::switch_account(&wish.return_path(&gate, None))),
            ];
            let error = OAuthError::new(ErrorCode::UnmetAuthenticationRequirements, text);
            return Err(visitor.error(error).with_links(ways));
        }
        let here = wish.return_path(&gate, Some(session.read_at));
        return Ok(Redirect::to(&urls::login_with_next(&here)).into_response());
    }
    let to = app.gate.callback(&api, &wish.back, &wish.state, session).await.map_err(|error| visitor.error(error))?;
    let to = to.unwrap_or_else(|| urls::login_with_next(&wish.return_path(&gate, None)));
    Ok(Redirect::to(&to).into_response())
}

/// The sign-in request of a browser that comes from a client's host.
struct GateSignInRequest {
    back: ReturnTarget,
    state: String,
    acr: Option<Acr>,
    /// Since when the stronger sign-in has been requested. It is not protected: a user who changes it is only asked
    /// once more or not at all.
    asked_at: Option<Timestamp>,
}

impl GateSignInRequest {
    /// Parses the query.
    ///
    /// # Errors
    /// Returns the error and, if it is at an origin of the API, the address to return to.
    fn read(api: &Api, query: Option<&str>) -> Result<Self, (OAuthError, Option<ReturnTarget>)> {
        let alone = |error| (error, None);
        let parameters = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(alone)?;
        let one = |name| parameters.one(name).map(Option::unwrap_or_default);
        let back = ReturnTarget::read(api, one("rd").map_err(alone)?).ok_or_else(|| alone(foreign_return_address()))?;
        let read = || {
            let state = Some(one("state")?).filter(|state| session::is_state(state)).ok_or_else(|| {
                OAuthError::new(ErrorCode::InvalidRequest, "This sign-in was not begun by the app. Open the app again.")
            })?;
            Ok((state.to_owned(), acr(one("acr_values")?)?, one("asked_at")?.parse().ok().map(Timestamp)))
        };
        match read() {
            Ok((state, acr, asked_at)) => Ok(Self { back, state, acr, asked_at }),
            Err(error) => Err((error, Some(back))),
        }
    }

    /// Returns this request as a path of this server, to return to after signing in.
    fn return_path(&self, gate: &GateName, asked_at: Option<Timestamp>) -> String {
        let asked_at = asked_at.map(|at| format!("&asked_at={}", at.0)).unwrap_or_default();
        format!("{}{asked_at}", sign_in_path(gate, &self.back, &self.state, self.acr))
    }
}

fn sign_in_path(gate: &GateName, back: &ReturnTarget, state: &str, acr: Option<Acr>) -> String {
    let acr = acr.map(|acr| format!("&acr_values={}", encoded(acr.as_str()))).unwrap_or_default();
    format!("{GATE_SIGN_IN}/{}?rd={}&state={}{acr}", gate.as_str(), encoded(&back.address()), encoded(state))
}

fn acr(text: &str) -> Result<Option<Acr>, OAuthError> {
    let unknown = || OAuthError::new(ErrorCode::InvalidRequest, "There is no such class of sign-ins.");
    if text.is_empty() {
        return Ok(None);
    }
    Acr::ALL.into_iter().find(|acr| acr.as_str() == text).map(Some).ok_or_else(unknown)
}

fn unknown_gate() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, "There is no gate of that name that people sign in for.")
}

fn foreign_return_address() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, "The address to go back to is none of this app’s.")
}

/// A request on a client's host, forwarded by its proxy.
pub struct AppHostRequest {
    app: AppState,
    gate: GateName,
    api: Api,
    origin: AppOrigin,
    parameters: Parameters,
    headers: HeaderMap,
    caller: RequestOrigin,
}

impl AppHostRequest {
    fn error(&self, error: impl Into<OAuthError>) -> PageError {
        PageError::new(&self.app, &self.caller, error.into()).on_apps_host()
    }

    fn one(&self, name: &str) -> Result<&str, PageError> {
        Ok(self.parameters.one(name).map_err(|error| self.error(error))?.unwrap_or_default())
    }

    /// Returns the browser's state cookie, if there is exactly one.
    fn state(&self) -> Option<&str> {
        let name = session::state_cookie_name(&self.gate, &self.origin);
        let lines = self.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
        let mut all = session::cookies(lines, &name);
        all.next().filter(|state| all.next().is_none() && session::is_state(state))
    }

    /// Returns a `Set-Cookie` value. The cookie is host-only and hidden from scripts.
    fn cookie(&self, name: &str, value: &str, seconds: i64) -> Option<HeaderValue> {
        let secure = if self.origin.is_https() { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
        HeaderValue::from_str(&text).ok()
    }
}

impl FromRequestParts<AppState> for AppHostRequest {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, PageError> {
        let caller = origin(parts, &app.config.trusted_proxies);
        let refused = |error: OAuthError| PageError::new(app, &caller, error).on_apps_host();
        if !from_proxy(parts, &app.config.trusted_proxies) {
            let text = "Only proxies named in the settings may ask.";
            return Err(refused(OAuthError::new(ErrorCode::AccessDenied, text)));
        }
        let named = PathParam::<String>::from_request_parts(parts, app).await;
        let PathParam(gate) = named.map_err(PageError::on_apps_host)?;
        let found = app.gate.for_browsers(&gate).await.map_err(refused)?;
        let (gate, api) = found.ok_or_else(|| refused(unknown_gate()))?;
        let made_at = made_at(&parts.headers);
        let origin = api.origins.iter().find(|origin| Some(origin.as_str()) == made_at.as_deref()).cloned();
        let origin = origin.ok_or_else(|| {
            refused(OAuthError::new(ErrorCode::InvalidRequest, "This host is none of those that the gate has apps at."))
        })?;
        let query = parts.uri.query().unwrap_or_default();
        let parameters = Parameters::parse(query.as_bytes()).map_err(refused)?;
        Ok(Self { app: app.clone(), gate, api, origin, parameters, headers: parts.headers.clone(), caller })
    }
}

/// Returns the origin of the request according to its proxy. Envoy leaves the host in `Host`.
fn made_at(headers: &HeaderMap) -> Option<String> {
    let once = |name: &str| {
        let mut all = headers.get_all(name).iter();
        let first = all.next()?.to_str().ok()?;
        all.next().is_none().then_some(first)
    };
    let host = if headers.contains_key("x-forwarded-host") { once("x-forwarded-host")? } else { once("host")? };
    Some(format!("{}://{host}", once("x-forwarded-proto")?))
}

/// `/.signet/sign-in?rd=/…` on the client's host. The state in the browser's cookie must come back with the ticket,
/// so that an attacker cannot make another browser use the attacker's ticket. Several tabs share the state.
pub async fn begin(here: AppHostRequest) -> Result<Response, PageError> {
    let rd = format!("{}{}", here.origin.as_str(), here.one("rd")?);
    let back = ReturnTarget::read(&here.api, &rd).ok_or_else(|| here.error(foreign_return_address()))?;
    let acr = acr(here.one("acr_values")?).map_err(|error| here.error(error))?;
    let new = || session::new_state(here.app.env().random());
    let state = here.state().map_or_else(new, ToOwned::to_owned);
    let to = here.app.config.issuer.join(&sign_in_path(&here.gate, &back, &state, acr));
    let cookie = here.cookie(&session::state_cookie_name(&here.gate, &here.origin), &state, STATE_TTL_SECONDS);
    Ok(with_cookies(Redirect::to(&to), [cookie]))
}

/// `/.signet/callback?ticket=…` on the client's host.
pub async fn finish(here: AppHostRequest) -> Result<Response, PageError> {
    let (state, ticket) = (here.state().unwrap_or_default(), here.one("ticket")?);
    let redeemed = here.app.gate.redeem((&here.gate, &here.api), &here.origin, state, ticket, &here.caller).await;
    let Some(admitted) = redeemed.map_err(|error| here.error(error))? else { return restart(&here, state, ticket) };
    let cookie = here.cookie(&session::cookie_name(&here.gate, &here.origin), &admitted.pass, admitted.seconds);
    Ok(with_cookies(Redirect::to(&admitted.to), [cookie]))
}

/// Handles a ticket that was used already or has expired: redirects to the page that the ticket was issued for. If
/// the browser has the gate's cookie by then, the gate allows the request, otherwise it starts a new sign-in. Without
/// the state cookie this would be an endless loop, so an error page is returned.
fn restart(here: &AppHostRequest, state: &str, ticket: &str) -> Result<Response, PageError> {
    let target = here.app.gate.ticket_target((&here.gate, &here.api), &here.origin, state, ticket);
    if let Some(target) = target {
        return Ok(Redirect::to(&format!("{}{target}", here.origin.as_str())).into_response());
    }
    let error = |text: &'static str| here.error(OAuthError::new(ErrorCode::InvalidRequest, text));
    let page = if state.is_empty() {
        error("The sign-in began in another browser, or this one blocks cookies. Allow cookies for this site, then open the app again.")
            .titled("This browser sent no cookie")
    } else {
        error("It took too long, or began in another browser. Open the app again.").titled("This sign-in is over")
    };
    Err(page.with_link(PageLink::new("Open the app", "/")))
}

/// `/.signet/sign-out` on the client's host: removes the cookies there, then redirects to the sign-out page of the
/// issuer.
pub async fn sign_out(here: AppHostRequest) -> Response {
    let names = [session::cookie_name(&here.gate, &here.origin), session::state_cookie_name(&here.gate, &here.origin)];
    let to = here.app.config.issuer.join(ENDPOINTS.end_session);
    with_cookies(Redirect::to(&to), names.map(|name| here.cookie(&name, "", 0)))
}

fn with_cookies<const N: usize>(to: Redirect, cookies: [Option<HeaderValue>; N]) -> Response {
    let mut response = to.into_response();
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
