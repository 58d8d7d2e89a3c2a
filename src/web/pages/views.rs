//! What the pages around signing in show: one struct a page, each with its template in `templates/pages/`. The
//! handlers beside this file fill them; a person’s own pages are in `web/account/views.rs`, and what is
//! common to all pages is in `web/view.rs`.

use askama::Template;

use crate::web::error::PageLink;
use crate::web::urls;
use crate::web::view::{AppCard, Chrome, DisplayTime, Viewer};

/// `/login`. Asked to sign in again, the person finds the username typed already, and may change it.
#[derive(Template)]
#[template(path = "pages/login.html")]
pub struct LoginPage {
    pub chrome: Chrome,
    pub csrf: String,
    pub action: String,
    /// The authorization request, or empty.
    pub flow: String,
    /// Leads back to the app when the request has been forgotten; empty without one.
    pub carried_app: String,
    /// Whether the app waits for an answer.
    pub can_cancel: bool,
    pub app: Option<AppCard>,
    /// One more line under the heading, such as why a signed-in person is asked again.
    pub heading_line: Option<String>,
    pub username: String,
    pub remember: bool,
    pub error: Option<LoginMessage>,
    /// Whether passkeys work at this server's address.
    pub passkeys: bool,
    /// Where to go afterwards when no app waits, or empty.
    pub next: String,
    /// The page for those who have no account, where they may make one.
    pub sign_up: Option<String>,
}

/// Why nobody was signed in. The words never tell which half was wrong.
pub struct LoginMessage {
    pub lead: String,
    pub text: String,
    /// Whether what was typed is to blame.
    pub at_fields: bool,
}

impl LoginMessage {
    pub fn no_match() -> Self {
        Self {
            lead: "That didn’t match.".to_owned(),
            text: "Check the username and the password, then try again. Capital letters count.".to_owned(),
            at_fields: true,
        }
    }

    pub fn passkey() -> Self {
        Self {
            lead: "That passkey didn’t work.".to_owned(),
            text: "Try again, or use your password.".to_owned(),
            at_fields: false,
        }
    }

    /// `wait` completes the sentence: "a minute".
    pub fn too_many(wait: &str) -> Self {
        Self { lead: "Too many tries.".to_owned(), text: format!("Wait {wait}, then try again."), at_fields: false }
    }

    pub fn no_cookie(host: &str) -> Self {
        Self {
            lead: "Your browser sent no cookie.".to_owned(),
            text: format!("Signing in needs cookies. Allow them for {host}, then try again."),
            at_fields: false,
        }
    }

    pub fn stale() -> Self {
        Self {
            lead: "This page was open too long.".to_owned(),
            text: "Nothing was sent. Sign in now.".to_owned(),
            at_fields: false,
        }
    }
}

impl LoginPage {
    /// Goes on to `next`, a path of ours, whoever signs in or up from here.
    pub fn set_next(&mut self, next: &str) {
        next.clone_into(&mut self.next);
        self.sign_up = self.sign_up.take().map(|_| urls::sign_up_with_next(next));
    }

    /// Asks somebody who is signed in for another account.
    pub fn clear_user(&mut self) {
        self.heading_line = None;
        self.username.clear();
    }

    pub fn fields_are_wrong(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.at_fields)
    }
}

/// The person that a page is about.
pub struct UserCard {
    pub name: String,
    /// What tells two of the same name apart: the email address or the username. May be empty.
    pub detail: String,
    pub initials: String,
}

/// Where an app's request is over: who is signed in, and the way back to the app.
#[derive(Template)]
#[template(path = "pages/signed_in.html")]
pub struct SignedInPage {
    pub chrome: Chrome,
    pub user: UserCard,
    pub app: Option<AppCard>,
    pub back: Option<PageLink>,
    pub switch_account: String,
}

/// `/consent`.
#[derive(Template)]
#[template(path = "pages/consent.html")]
pub struct ConsentPage {
    pub chrome: Chrome,
    /// Why the page is shown again.
    pub notice: Option<&'static str>,
    pub csrf: String,
    /// What leads back to the app when its request has been swept.
    pub carried_app: String,
    pub action: String,
    pub app: AppCard,
    pub user: UserCard,
    pub scopes: Vec<ScopeLine>,
    /// The address that lets the person choose another account for this request.
    pub switch_account: String,
    /// Where the answer goes: the host of the return address.
    pub redirect_host: String,
}

/// `/not-allowed`: the user may not use the app.
#[derive(Template)]
#[template(path = "pages/not_admitted.html")]
pub struct NotAdmittedPage {
    pub chrome: Chrome,
    pub csrf: String,
    pub app: AppCard,
    pub user: UserCard,
    /// The address at which another account is chosen.
    pub switch_account: String,
    /// Where `decision=deny` is posted, which tells the app.
    pub action: String,
    pub request_id: String,
    pub time: DisplayTime,
}

/// What one scope lets the app do, in words.
pub struct ScopeLine {
    pub scope: String,
    /// A symbol of `icons.svg`.
    pub icon: &'static str,
    pub title: String,
    /// The real values that will be seen, or empty.
    pub detail: String,
}

/// `/device`: the code that a device shows is typed here.
#[derive(Template)]
#[template(path = "pages/device.html")]
pub struct DevicePage {
    pub chrome: Chrome,
    pub csrf: String,
    pub action: String,
    /// What was typed, or came with the address.
    pub user_code: String,
    /// Why there is no such device.
    pub error: Option<String>,
}

/// `/device/{ticket}`: who asks, from where, for what.
#[derive(Template)]
#[template(path = "pages/device_confirm.html")]
pub struct DeviceConfirmPage {
    pub chrome: Chrome,
    /// Why the page is shown again.
    pub notice: Option<&'static str>,
    pub csrf: String,
    pub action: String,
    pub app: AppCard,
    pub user: UserCard,
    /// As the device shows it.
    pub user_code: String,
    /// "Firefox on Linux".
    pub device: String,
    pub address: String,
    pub asked: DisplayTime,
    pub scopes: Vec<ScopeLine>,
    pub switch_account: String,
}

/// `/device` after an answer.
#[derive(Template)]
#[template(path = "pages/device_done.html")]
pub struct DeviceDonePage {
    pub chrome: Chrome,
    pub allowed: bool,
}

/// `/select-account`.
#[derive(Template)]
#[template(path = "pages/select_account.html")]
pub struct SelectAccountPage {
    pub chrome: Chrome,
    /// Why the page is shown again.
    pub notice: Option<&'static str>,
    pub csrf: String,
    /// What leads back to the app when its request has been swept.
    pub carried_app: String,
    pub action: String,
    pub app: Option<AppCard>,
    pub accounts: Vec<AccountLine>,
}

pub struct AccountLine {
    /// The value that the button sends.
    pub id: String,
    pub name: String,
    pub detail: String,
    pub initials: String,
    pub signed_in: bool,
}

/// The question of `/oauth2/logout` where no hint vouches for the request.
#[derive(Template)]
#[template(path = "pages/logout.html")]
pub struct LogoutPage {
    pub chrome: Chrome,
    pub csrf: String,
    pub action: String,
    /// The request's own parameters, sent again with the answer.
    pub fields: Vec<(String, String)>,
    pub user: Option<UserCard>,
    pub app: Option<AppCard>,
}

/// The end of a session: tells the apps that are told in frames, then goes on to where the app asked for.
#[derive(Template)]
#[template(path = "pages/signed_out.html")]
pub struct SignedOutPage {
    pub chrome: Chrome,
    /// The addresses of the frames (OpenID Connect Front-Channel Logout §2).
    pub frames: Vec<String>,
    /// Where the browser goes by itself afterwards.
    pub next: Option<String>,
    /// Where it goes if the user wants to.
    pub link: Option<String>,
}

/// What went wrong: the sentence for the person, the rest for the administrator.
#[derive(Template)]
#[template(path = "pages/error.html")]
pub struct ErrorPage {
    pub chrome: Chrome,
    pub code: String,
    pub title: String,
    pub description: String,
    /// The app that it is about.
    pub about: Option<String>,
    /// The first one is the best; there is at least one.
    pub links: Vec<PageLink>,
    pub request_id: String,
    pub time: DisplayTime,
    /// What the person can do now.
    pub hint: Option<&'static str>,
}

/// `/setup`: the first administrator.
#[derive(Template)]
#[template(path = "pages/setup.html")]
pub struct SetupPage {
    pub chrome: Chrome,
    pub csrf: String,
    pub action: String,
    pub token: String,
    pub name: String,
    pub email: String,
    pub username: String,
    /// What was refused: the field (`name`, `email`, `username`, `password`, or `form` for all of it) and why.
    pub errors: Vec<(String, String)>,
    /// The issuer, as it will stand in tokens.
    pub address: String,
    /// Where data is kept, in words.
    pub data: String,
}

impl SetupPage {
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|(name, _)| name == field).map(|(_, text)| text.as_str())
    }
}

/// `/signup`.
#[derive(Template)]
#[template(path = "pages/sign_up.html")]
pub struct SignUpPage {
    pub chrome: Chrome,
    pub csrf: String,
    pub action: String,
    /// Leads back to the app when the request has been forgotten; empty without one.
    pub carried_app: String,
    /// Whether the app waits for an answer.
    pub can_cancel: bool,
    pub app: Option<AppCard>,
    pub name: String,
    pub email: String,
    pub username: String,
    /// What was refused: the field, or `form` for all of it, and why.
    pub errors: Vec<(String, String)>,
    /// Where to go afterwards when no app waits, or empty.
    pub next: String,
    /// The page for those who have an account.
    pub login: String,
}

impl SignUpPage {
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|(name, _)| name == field).map(|(_, text)| text.as_str())
    }
}

/// A form that sends itself: the answer to the app by `response_mode=form_post` (OAuth 2.0 Form Post Response Mode §2), or
/// another site's request once more.
#[derive(Template)]
#[template(path = "pages/form_post.html")]
pub struct FormPostPage {
    pub chrome: Chrome,
    pub heading: &'static str,
    pub action: String,
    pub fields: Vec<(String, String)>,
}

/// `/`: what this server is, and the ways on.
#[derive(Template)]
#[template(path = "pages/home.html")]
pub struct HomePage {
    pub chrome: Chrome,
    pub viewer: Option<Viewer>,
}
