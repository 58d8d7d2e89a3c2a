//! A browser: its cookie, its session if it has one, and its forms. A form must come from a page of this server
//! (Fetch Metadata, `Origin`, and a token that is bound to browser and session). Sign-in forms only need the browser
//! half of the token, so that a sign-in in another tab does not invalidate them.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;

use super::request::{body as body_of, is_form, origin};
use crate::app::AppState;
use crate::domain::event::RequestOrigin;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::secret::Secret;
use crate::domain::session::Session;
use crate::identity::login::LoginInput;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::web::browser::{Browser, FormTokenStatus};
use crate::web::error::{PageError, PageLink};
use crate::web::error_report::NamedClient;
use crate::web::origin::{Provenance, provenance};
use crate::web::sessions::{self, SessionData};
use crate::web::urls;

pub struct Visitor {
    pub app: AppState,
    pub browser: Browser,
    /// The session of the signed-in user.
    pub session: Option<Session>,
    pub tower: tower_sessions::Session,
    pub origin: RequestOrigin,
    /// Records the client that the request is about.
    pub named: NamedClient,
}

impl Visitor {
    pub fn form_token(&self) -> String {
        self.browser.form_token(&self.app, self.session.as_ref().map(|session| session.id))
    }

    pub fn session_id(&self) -> Option<SessionId> {
        self.session.as_ref().map(|session| session.id)
    }

    /// Returns the input for a password sign-in. `knows` returns whether a user has signed in with this browser
    /// before.
    pub fn typed<'a>(
        &self,
        login: &'a str,
        password: Secret,
        knows: &'a (dyn Fn(UserId) -> bool + Send + Sync),
    ) -> LoginInput<'a> {
        LoginInput {
            login,
            password,
            browser: self.browser.name(),
            is_known_browser: knows,
            origin: self.origin.clone(),
        }
    }

    /// Returns an error page with links that fit the session.
    pub fn error(&self, error: impl Into<OAuthError>) -> PageError {
        let error = error.into();
        let is_denied = error.code == ErrorCode::AccessDenied;
        let page = PageError::new(&self.app, &self.origin, error);
        let another = PageLink::new("Use another account", urls::switch_account("/"));
        match &self.session {
            None => page.with_link(PageLink::new("Sign in", urls::LOGIN)),
            Some(_) if is_denied => page.with_link(another).with_link(PageLink::new("Your account", urls::ACCOUNT)),
            Some(_) => page.with_link(PageLink::new("Your account", urls::ACCOUNT)).with_link(another),
        }
    }
}

impl FromRequestParts<AppState> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, PageError> {
        let origin = origin(parts, &app.config.trusted_proxies);
        let broken = |what: &'static str| {
            PageError::new(
                app,
                &origin,
                OAuthError::new(ErrorCode::TemporarilyUnavailable, "Try again in a moment.").with_cause(what),
            )
        };
        let browser = parts.extensions.get::<Browser>().cloned().ok_or_else(|| broken("no browser layer"))?;
        let tower =
            parts.extensions.get::<tower_sessions::Session>().cloned().ok_or_else(|| broken("no session layer"))?;
        let carried: Option<SessionData> =
            tower.get(sessions::SESSION_KEY).await.map_err(|_| broken("the session cannot be read"))?;
        let carried = match carried {
            Some(carried) => Some(sessions::seen(app, &tower, carried).await.map_err(|_| broken("not kept alive"))?),
            None => None,
        };
        let session = carried.zip(tower.id()).map(|(carried, id)| carried.session(sessions::digest(&id)));
        let named = parts.extensions.get::<NamedClient>().cloned().unwrap_or_default();
        Ok(Self { app: app.clone(), browser, session, tower, origin, named })
    }
}

/// Form fields that may be repeated: groups of checkboxes.
const REPEATABLE_FIELDS: [&str; 5] = ["groups", "allowed_groups", "grant_types", "response_types", "accepts"];
/// The maximum number of fields in a form. A list of rules has several for each rule. The router limits the size of
/// the body.
pub(super) const MAX_FIELDS: usize = 2000;

/// A POST that may come from a page of this server. The handler must check its token before it acts:
/// [`Self::is_of_browser`] for sign-in forms, [`Self::is_current`] for all others.
pub struct Form {
    pub visitor: Visitor,
    pub fields: Parameters,
    token: FormTokenStatus,
}

impl Form {
    /// Returns whether the page was shown in this browser, in any session or without one.
    pub fn is_of_browser(&self) -> bool {
        self.token != FormTokenStatus::Unknown
    }

    /// Returns whether the page was shown in this browser and in its current session.
    pub fn is_current(&self) -> bool {
        self.token == FormTokenStatus::Current
    }

    /// Returns a field's value, or an empty string if it is missing.
    ///
    /// # Errors
    /// Returns an error page if the field is repeated.
    pub fn text(&self, name: &str) -> Result<&str, PageError> {
        Ok(self.fields.one(name).map_err(|error| self.visitor.error(error))?.unwrap_or_default())
    }
}

/// Returns the error page for a form that was opened at an address other than the issuer's, where its cookies are
/// missing.
fn at_other_address(visitor: &Visitor, parts: &Parts) -> PageError {
    let issuer = &visitor.app.config.issuer;
    let text = format!("This server’s address is {}. Open the page there and send it again.", issuer.as_str());
    let there = PageLink::new("Open it there", issuer.join(parts.uri.path()));
    let error = visitor.error(OAuthError::new(ErrorCode::InvalidRequest, text));
    error.titled("This isn’t the server’s address").with_links(vec![there])
}

impl FromRequest<AppState> for Form {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        let refused = |text: &'static str| {
            visitor.error(OAuthError::new(ErrorCode::InvalidRequest, text)).titled("The form wasn’t accepted")
        };
        if !is_form(&parts.headers) {
            return Err(refused("The page sent something that is not a form."));
        }
        match provenance(&parts.headers, app) {
            Provenance::Own | Provenance::Unknown => {}
            Provenance::OtherAddress => return Err(at_other_address(&visitor, &parts)),
            Provenance::Foreign => {
                return Err(refused("The form came from another site. Open the page here and try again."));
            }
        }
        let body = body_of(app, Request::from_parts(parts, body)).await.map_err(|error| visitor.error(error))?;
        let fields = Parameters::parse_at_most(MAX_FIELDS, &body).map_err(|error| visitor.error(error))?;
        fields.check_repetition_except(&REPEATABLE_FIELDS).map_err(|error| visitor.error(error))?;
        let Some(token) = fields.one("csrf").map_err(|error| visitor.error(error))? else {
            return Err(refused("The form was made by no page of ours. Open the page here and send it from there."));
        };
        let token = visitor.browser.judge(app, visitor.session_id(), token);
        Ok(Self { visitor, fields, token })
    }
}
