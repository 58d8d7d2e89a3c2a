//! The signed-in user, for the account pages and the console. Requests without a session are redirected to the
//! sign-in page. The console requires that the user is an administrator now, not only at the time of the sign-in.
//! Forms check this again once the body has arrived, and the write transaction checks it once more
//! (`manage::acting`).
//!
//! See also [`super::visitor`], the browser with or without a session.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::visitor::{Form, Visitor};
use super::{recent, stale};
use crate::app::AppState;
use crate::domain::api::Api;
use crate::domain::session::Session;
use crate::domain::user::User;
use crate::manage::AuditContext;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::store::{sessions, users};
use crate::web::error::{PageError, PageLink};
use crate::web::flash::Flash;
use crate::web::urls;
use crate::web::view::{Notice, Viewer, initials, visible};

/// A request from a signed-in, enabled user.
pub struct SignedIn {
    pub visitor: Visitor,
    pub user: User,
    pub session: Session,
    /// The message of the previous page.
    pub flash: Option<Flash>,
    /// Whether any API accepts API keys.
    api_keys: bool,
}

impl SignedIn {
    pub fn app(&self) -> &AppState {
        &self.visitor.app
    }

    /// Returns the user for the bar at the top of the page.
    pub fn viewer(&self) -> Viewer {
        let name = self.user.display_name();
        Viewer { name: visible(name), initials: initials(name), admin: self.user.admin, api_keys: self.api_keys }
    }

    pub fn notice(&self) -> Option<Notice> {
        self.flash.as_ref().map(Flash::notice)
    }

    /// Returns the audit context of the request.
    pub fn by(&self) -> AuditContext {
        AuditContext::user(self.user.id, self.session.id, self.visitor.origin.clone())
    }

    pub fn error(&self, error: impl Into<OAuthError>) -> PageError {
        self.visitor.error(error)
    }

    pub fn not_found(&self, text: &'static str) -> PageError {
        PageError::not_found(self.app(), &self.visitor.origin, text)
    }

    async fn of(visitor: Visitor, flash: Option<Flash>, next: &str) -> Result<Self, Response> {
        let to_login = || Redirect::to(&urls::login_with_next(next)).into_response();
        let Some(session) = visitor.session.clone() else { return Err(to_login()) };
        let store = visitor.app.store();
        let found = users::by_id(store.read(), session.user).await;
        let found = found.map_err(|error| visitor.error(error).into_response())?;
        let Some(user) = found.filter(|user| !user.disabled) else { return Err(to_login()) };
        let apis = store.authority().apis(store).await.map_err(|error| visitor.error(error).into_response())?;
        let api_keys = apis.iter().any(Api::allows_api_keys);
        Ok(Self { visitor, user, session, flash, api_keys })
    }
}

impl SignedIn {
    /// Reloads the session and the user from the database. The user may have been signed out, disabled or demoted
    /// while the body of a form arrived.
    ///
    /// # Errors
    /// A redirect to the sign-in page if there is no session any more, or an error page.
    async fn reload(self, next: &str) -> Result<Self, Response> {
        let app = &self.visitor.app;
        let found = sessions::by_digest(app.store(), &self.session.digest).await;
        let found = found.map_err(|error| self.error(error).into_response())?;
        let session = found.filter(|session| session.user == self.user.id && session.is_active(session.read_at));
        Self::of(Visitor { session, ..self.visitor }, self.flash, next).await
    }
}

impl FromRequestParts<AppState> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        let flash = parts.extensions.get::<Flash>().cloned();
        Self::of(visitor, flash, &page_of(parts)).await
    }
}

/// Whether the response is the redirect to the sign-in page. Other responses are errors.
fn is_login_redirect(response: &Response) -> bool {
    response.status() == StatusCode::SEE_OTHER
}

/// Returns the page to continue to after signing in: the page of a GET. For a POST it is the first page of the
/// console or of the account pages.
fn page_of(parts: &Parts) -> String {
    match parts.uri.path() {
        _ if parts.method == Method::GET => path_and_query(parts),
        path if path.starts_with(urls::CONSOLE) => urls::CONSOLE.to_owned(),
        _ => urls::ACCOUNT.to_owned(),
    }
}

/// A request from a signed-in administrator.
pub struct Admin(pub SignedIn);

/// Returns the error page for a user who is not an administrator, or `None` for an administrator.
fn not_admin_response(person: &SignedIn, next: &str) -> Option<Response> {
    let refused = || {
        let ways = vec![
            PageLink::new("Use another account", urls::switch_account(next)),
            PageLink::new("Your account", urls::ACCOUNT),
        ];
        let error = person.error(OAuthError::new(ErrorCode::AccessDenied, "This page is for administrators."));
        error.titled("Your account isn’t an administrator’s").with_links(ways)
    };
    (!person.user.admin).then(|| refused().into_response())
}

impl FromRequestParts<AppState> for Admin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Response> {
        let person = SignedIn::from_request_parts(parts, app).await?;
        not_admin_response(&person, &page_of(parts)).map_or(Ok(Self(person)), Err)
    }
}

/// A checked form from a signed-in user.
pub struct SignedInForm {
    pub signed_in: SignedIn,
    form: FormFields,
}

/// A checked form from a user with a recent sign-in ([`recent`]).
pub struct RecentForm {
    pub signed_in: SignedIn,
    form: FormFields,
}

/// A checked form from an administrator with a recent sign-in ([`recent`]).
pub struct AdminForm {
    pub signed_in: SignedIn,
    form: FormFields,
}

/// The fields of a form.
pub struct FormFields(crate::protocol::parameters::Parameters);

impl FormFields {
    /// Returns a field's value, or an empty string if it is missing or repeated.
    pub fn text(&self, name: &str) -> &str {
        self.0.one(name).ok().flatten().unwrap_or_default()
    }

    /// Returns all fields in their order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.pairs()
    }

    /// Returns the values of all ticked boxes with that name.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.all(name).map(ToOwned::to_owned).collect()
    }
}

macro_rules! form_of {
    ($($form:ident),+) => {$(
        impl $form {
            /// Returns a field's value, or an empty string if it is missing or repeated.
            pub fn text(&self, name: &str) -> &str {
                self.form.text(name)
            }

            /// Returns whether a box is ticked.
            pub fn ticked(&self, name: &str) -> bool {
                self.text(name) == "true"
            }

            /// Returns an error unless all `fields` were sent. A missing field must not be treated as one that was
            /// emptied.
            pub fn complete(&self, fields: &[&str]) -> Result<(), PageError> {
                if fields.iter().all(|field| self.form.0.has(field)) {
                    return Ok(());
                }
                let text = "The form did not arrive as a whole. Go back, reload the page and try again.";
                Err(self.signed_in.error(OAuthError::new(ErrorCode::InvalidRequest, text)))
            }

            /// Returns whether a field was sent, empty or not.
            pub fn has(&self, name: &str) -> bool {
                self.form.0.has(name)
            }

            /// Returns the values of all ticked boxes with that name.
            pub fn all(&self, name: &str) -> Vec<String> {
                self.form.all(name)
            }

            /// Returns the fields, for code that is shared by the account pages and the console.
            pub fn fields(&self) -> &FormFields {
                &self.form
            }
        }
    )+};
}
form_of!(SignedInForm, RecentForm, AdminForm);

impl FromRequest<AppState> for SignedInForm {
    type Rejection = Response;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let (next, to) = (page_of(&parts), path_and_query(&parts));
        // The session is checked before the form token: a user who has been signed out gets the sign-in page, not an
        // error about the token.
        let person = SignedIn::from_request_parts(&mut parts, app).await;
        let form = Form::from_request(Request::from_parts(parts, body), app).await;
        let person = match (person, &form) {
            (Ok(person), _) => person,
            (Err(to_login), Ok(form)) if form.is_of_browser() && is_login_redirect(&to_login) => {
                return Err(stale::signed_out(&form.visitor, &form.fields, &to, &next).unwrap_or(to_login));
            }
            (Err(to_login), _) => return Err(to_login),
        };
        let form = form.map_err(IntoResponse::into_response)?;
        if !form.is_of_browser() {
            return Err(stale::unknown_form(&person));
        }
        if !form.is_current() {
            return Err(stale::page(&person, &form.fields, &to));
        }
        // The session is checked again, since it may have changed while the body arrived.
        let person = match person.reload(&next).await {
            Ok(person) => person,
            Err(to_login) if is_login_redirect(&to_login) => {
                return Err(stale::signed_out(&form.visitor, &form.fields, &to, &next).unwrap_or(to_login));
            }
            Err(failed) => return Err(failed),
        };
        Ok(Self { signed_in: person, form: FormFields(form.fields) })
    }
}

impl FromRequest<AppState> for RecentForm {
    type Rejection = Response;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let to = path_and_query(&parts);
        let request = Request::from_parts(parts, body);
        let SignedInForm { signed_in: person, form } = SignedInForm::from_request(request, app).await?;
        let (person, form) = recent::settle(person, form.0, &to).await?;
        Ok(Self { signed_in: person, form: FormFields(form) })
    }
}

impl FromRequest<AppState> for AdminForm {
    type Rejection = Response;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let to = path_and_query(&parts);
        let request = Request::from_parts(parts, body);
        let SignedInForm { signed_in: person, form } = SignedInForm::from_request(request, app).await?;
        if let Some(refused) = not_admin_response(&person, urls::CONSOLE) {
            return Err(refused);
        }
        let (person, form) = recent::settle(person, form.0, &to).await?;
        Ok(Self { signed_in: person, form: FormFields(form) })
    }
}

fn path_and_query(parts: &Parts) -> String {
    parts.uri.path_and_query().map_or_else(|| parts.uri.path(), |it| it.as_str()).to_owned()
}
