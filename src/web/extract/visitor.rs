//! A person's browser: its cookie, its session where somebody is signed in, and the forms it sends, which are checked
//! for coming from our own pages (Fetch Metadata, Origin, and a token bound to browser and session). Before a sign-in the
//! browser's half of the token suffices: a sign-in in another tab makes no form of this one worthless.

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
    /// Who is signed in here.
    pub session: Option<Session>,
    pub tower: tower_sessions::Session,
    pub origin: RequestOrigin,
    /// Where the client that the request is about is noted.
    pub named: NamedClient,
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
    ) -> LoginInput<'a> {
        LoginInput {
            login,
            password,
            browser: self.browser.name(),
            is_known_browser: knows,
            origin: self.origin.clone(),
        }
    }

    /// The page that says so, with ways on for whoever is signed in here.
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

/// The fields of our own forms that are boxes to tick, several of one name.
const REPEATABLE_FIELDS: [&str; 5] = ["groups", "allowed_groups", "grant_types", "response_types", "accepts"];
/// Those of one form of ours; a list of rules has several for each. The body's own limit stands in `web`.
pub(super) const MAX_FIELDS: usize = 2000;

/// A POST that may come from one of our own pages. Nothing may be done for it before its token has been asked about:
/// [`Self::is_of_browser`] before a sign-in, [`Self::is_current`] afterwards.
pub struct Form {
    pub visitor: Visitor,
    pub fields: Parameters,
    token: FormTokenStatus,
}

impl Form {
    /// Whether the page was shown in this browser, whoever was signed in there.
    pub fn is_of_browser(&self) -> bool {
        self.token != FormTokenStatus::Unknown
    }

    /// Whether the page was shown in this browser and in the session that it has now.
    pub fn is_current(&self) -> bool {
        self.token == FormTokenStatus::Current
    }

    /// A field's text, empty where it is missing.
    pub fn text(&self, name: &str) -> Result<&str, PageError> {
        Ok(self.fields.one(name).map_err(|error| self.visitor.error(error))?.unwrap_or_default())
    }
}

/// The page for a form that was opened at an address of this server that is not its issuer, whose cookies it lacks.
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
