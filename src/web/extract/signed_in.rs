//! Who is signed in, for a person's own pages and the console: nobody gets further than the sign-in page without a
//! session, and nobody into the console who is no administrator now, whatever they were when they signed in. Of a form that
//! is asked when its body has arrived, and once more by the transaction that writes (`manage::acting`).
//!
//! Next door: [`super::visitor`], the browser with or without a session.

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

/// A browser in which somebody is signed in who is turned on.
pub struct SignedIn {
    pub visitor: Visitor,
    pub user: User,
    pub session: Session,
    /// What the page before had to say.
    pub flash: Option<Flash>,
    /// Whether there is an API that takes keys.
    api_keys: bool,
}

impl SignedIn {
    pub fn app(&self) -> &AppState {
        &self.visitor.app
    }

    /// The person in the bar above the page.
    pub fn viewer(&self) -> Viewer {
        let name = self.user.display_name();
        Viewer { name: visible(name), initials: initials(name), admin: self.user.admin, api_keys: self.api_keys }
    }

    pub fn notice(&self) -> Option<Notice> {
        self.flash.as_ref().map(Flash::notice)
    }

    /// Who does what is asked for here.
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
    /// The same person as the database has them now, who may have been signed out, disabled or demoted while a form's body
    /// was on its way; otherwise the way to the sign-in page.
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

/// Whether nobody is signed in; other answers say that something failed.
fn is_login_redirect(response: &Response) -> bool {
    response.status() == StatusCode::SEE_OTHER
}

/// The page to come back to after signing in: that of a GET, and of a POST the front page of its part of the house.
fn page_of(parts: &Parts) -> String {
    match parts.uri.path() {
        _ if parts.method == Method::GET => path_and_query(parts),
        path if path.starts_with(urls::CONSOLE) => urls::CONSOLE.to_owned(),
        _ => urls::ACCOUNT.to_owned(),
    }
}

/// Somebody who may administer.
pub struct Admin(pub SignedIn);

/// The page for whoever may not administer; nothing for an administrator.
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

/// A checked form from somebody who is signed in.
pub struct SignedInForm {
    pub signed_in: SignedIn,
    form: FormFields,
}

/// The same, from somebody who has signed in recently ([`recent`]).
pub struct RecentForm {
    pub signed_in: SignedIn,
    form: FormFields,
}

/// A checked form from an administrator who has signed in recently ([`recent`]).
pub struct AdminForm {
    pub signed_in: SignedIn,
    form: FormFields,
}

/// What was sent in a form.
pub struct FormFields(crate::protocol::parameters::Parameters);

impl FormFields {
    /// A field's text, empty where it is missing or repeated.
    pub fn text(&self, name: &str) -> &str {
        self.0.one(name).ok().flatten().unwrap_or_default()
    }

    /// Every field in its order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.pairs()
    }

    /// Every box of that name that is ticked.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.all(name).map(ToOwned::to_owned).collect()
    }
}

macro_rules! form_of {
    ($($form:ident),+) => {$(
        impl $form {
            /// A field's text, empty where it is missing or repeated.
            pub fn text(&self, name: &str) -> &str {
                self.form.text(name)
            }

            /// Whether a box is ticked.
            pub fn ticked(&self, name: &str) -> bool {
                self.text(name) == "true"
            }

            /// Refuses what is not our form as a whole: a field that is missing must not read as one that was emptied.
            pub fn complete(&self, fields: &[&str]) -> Result<(), PageError> {
                if fields.iter().all(|field| self.form.0.has(field)) {
                    return Ok(());
                }
                let text = "The form did not arrive as a whole. Go back, reload the page and try again.";
                Err(self.signed_in.error(OAuthError::new(ErrorCode::InvalidRequest, text)))
            }

            /// Whether a field was sent, empty or not.
            pub fn has(&self, name: &str) -> bool {
                self.form.0.has(name)
            }

            /// Every box of that name that is ticked.
            pub fn all(&self, name: &str) -> Vec<String> {
                self.form.all(name)
            }

            /// For what both kinds of people have forms for.
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
        // Asked first: who is not signed in any more is told so, not that the form's token is another session's.
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
        // And once more: the body took its time, and what follows is decided by who they are now.
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
