//! A person's browser: its cookie, its session where somebody is signed in, and the forms it sends, which are checked
//! for coming from our own pages (Fetch Metadata, Origin, and a token bound to browser and session).

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;

use super::asked::{body as body_of, is_form, origin};
use crate::app::App;
use crate::domain::event::Origin;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::secret::Secret;
use crate::domain::session::Session;
use crate::identity::login::Typed;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::web::browser::Browser;
use crate::web::error::PageError;
use crate::web::origin::is_own;
use crate::web::sessions::{self, Carried};

pub struct Visitor {
    pub app: App,
    pub browser: Browser,
    /// Who is signed in here.
    pub session: Option<Session>,
    pub tower: tower_sessions::Session,
    pub origin: Origin,
}

impl Visitor {
    pub fn form_token(&self) -> String {
        self.browser.form_token(&self.app, self.session.as_ref().map(|session| session.id))
    }

    pub fn session_id(&self) -> Option<SessionId> {
        self.session.as_ref().map(|session| session.id)
    }

    /// A password typed in this browser; `knows` says whether a person has signed in here before.
    pub fn typed<'a>(
        &self,
        login: &'a str,
        password: Secret,
        knows: &'a (dyn Fn(UserId) -> bool + Send + Sync),
    ) -> Typed<'a> {
        Typed { login, password, browser: self.browser.name(), knows, origin: self.origin.clone() }
    }

    pub fn error(&self, error: impl Into<OAuthError>) -> PageError {
        PageError::new(&self.app, &self.origin, error.into())
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let origin = origin(parts, &app.config.trusted_proxies);
        let broken = |what: &'static str| {
            PageError::new(
                app,
                &origin,
                OAuthError::new(ErrorCode::TemporarilyUnavailable, "Try again in a moment.").because(what),
            )
        };
        let browser = parts.extensions.get::<Browser>().cloned().ok_or_else(|| broken("no browser layer"))?;
        let tower =
            parts.extensions.get::<tower_sessions::Session>().cloned().ok_or_else(|| broken("no session layer"))?;
        let carried: Option<Carried> =
            tower.get(sessions::KEY).await.map_err(|_| broken("the session cannot be read"))?;
        let carried = match carried {
            Some(carried) => Some(sessions::seen(app, &tower, carried).await.map_err(|_| broken("not kept alive"))?),
            None => None,
        };
        let session = carried.zip(tower.id()).map(|(carried, id)| carried.session(sessions::digest(&id)));
        Ok(Self { app: app.clone(), browser, session, tower, origin })
    }
}

/// The fields of our own forms that are boxes to tick, several of one name.
const LISTS: [&str; 4] = ["groups", "grant_types", "response_types", "accepts"];
/// Those of one form of ours; a list of rules has several for each. The body's own limit stands in `web`.
pub(super) const MOST_FIELDS: usize = 2000;

/// A POST from one of our own pages.
pub struct Form {
    pub visitor: Visitor,
    pub fields: Parameters,
}

impl Form {
    /// A field's text, empty where it is missing.
    pub fn text(&self, name: &str) -> Result<&str, PageError> {
        Ok(self.fields.one(name).map_err(|error| self.visitor.error(error))?.unwrap_or_default())
    }
}

impl FromRequest<App> for Form {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &App) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        let refused = |text: &'static str| visitor.error(OAuthError::new(ErrorCode::InvalidRequest, text));
        if !is_form(&parts.headers) {
            return Err(refused("The page sent something that is not a form."));
        }
        if !is_own(&parts.headers, app) {
            return Err(refused("The form came from another site. Open the page here and try again."));
        }
        let body = body_of(app, Request::from_parts(parts, body)).await.map_err(|error| visitor.error(error))?;
        let fields = Parameters::parse_at_most(MOST_FIELDS, &body).map_err(|error| visitor.error(error))?;
        fields.check_repetition_but(&LISTS).map_err(|error| visitor.error(error))?;
        let token = fields.one("csrf").map_err(|error| visitor.error(error))?.unwrap_or_default();
        if !visitor.browser.owns(app, visitor.session_id(), token) {
            return Err(refused(
                "This page was open too long, or another one signed you in or out. Go back, reload it and try again.",
            ));
        }
        Ok(Self { visitor, fields })
    }
}
