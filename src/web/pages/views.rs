//! The template structs of the sign-in pages, one per page, with templates in `templates/pages/`. The handlers beside
//! this file fill them. The structs of the account pages are in `web/account/views.rs`, and values that all pages
//! share are in `web/view.rs`.

use askama::Template;

use crate::web::error::PageLink;
use crate::web::urls;
use crate::web::view::{AppCard, Chrome, DisplayTime, Viewer};

/// `/login`. If the user must authenticate again, the username is filled in and can be changed.
#[derive(Template)]
#[template(path = "pages/login.html")]
pub struct LoginPage {
    pub chrome: Chrome,
    pub csrf: String,
    pub action: String,
    /// The id of the authorization request, or empty.
    pub flow: String,
    /// The client to return to if the request has been deleted, or empty.
    pub carried_app: String,
    /// Whether a client's request is pending, so that the user can cancel.
    pub can_cancel: bool,
    pub app: Option<AppCard>,
    /// A line under the heading, such as why a signed-in user must authenticate again.
    pub heading_line: Option<String>,
    pub username: String,
    pub remember: bool,
    pub error: Option<LoginMessage>,
    /// Whether passkeys work at the issuer's address.
    pub passkeys: bool,
    /// The path to continue to without a client's request, or empty.
    pub next: String,
    /// The address of the sign-up page, if it is enabled.
    pub sign_up: Option<String>,
}

/// The reason why a sign-in failed. The text does not reveal whether the username or the password was wrong.
pub struct LoginMessage {
    pub lead: String,
    pub text: String,
    /// Whether the error is about the entered values.
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
    /// Continues to `next`, a path of this server, after signing in or up.
    pub fn set_next(&mut self, next: &str) {
        next.clone_into(&mut self.next);
        self.sign_up = self.sign_up.take().map(|_| urls::sign_up_with_next(next));
    }

    /// Removes the signed-in user, so that the page asks for another account.
    pub fn clear_user(&mut self) {
        self.heading_line = None;
        self.username.clear();
    }

    pub fn fields_are_wrong(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.at_fields)
    }
}

/// The user that a page is about.
pub struct UserCard {
    pub name: String,
    /// The email address or the username, to tell users with the same name apart. May be empty.
    pub detail: String,
    pub initials: String,
}

/// The page for a client's request that has ended: the signed-in user, and a link back to the client.
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
    /// The reason why the page is shown again.
    pub notice: Option<&'static str>,
    pub csrf: String,
    /// The client to return to if the request has been deleted.
    pub carried_app: String,
    pub action: String,
    pub app: AppCard,
    pub user: UserCard,
    pub scopes: Vec<ScopeLine>,
    /// The URL for switching accounts for this request.
    pub switch_account: String,
    /// The host of the redirect URI, where the response is sent.
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
    /// The URL for switching accounts.
    pub switch_account: String,
    /// The URL that `decision=deny` is posted to, which notifies the client.
    pub action: String,
    pub request_id: String,
    pub time: DisplayTime,
}

/// The description of what a scope lets the client do.
pub struct ScopeLine {
    pub scope: String,
    /// The name of a symbol in `icons.svg`.
    pub icon: &'static str,
    pub title: String,
    /// The values that the client will see, or empty.
    pub detail: String,
}

/// `/device`: the page for entering the code that a device shows.
#[derive(Template)]
#[template(path = "pages/device.html")]
pub struct DevicePage {
    pub chrome: Chrome,
    pub csrf: String,
    pub action: String,
    /// The entered code, or the code from the query.
    pub user_code: String,
    /// The reason why the code was rejected.
    pub error: Option<String>,
}

/// `/device/{ticket}`: which client asks, from where and for what.
#[derive(Template)]
#[template(path = "pages/device_confirm.html")]
pub struct DeviceConfirmPage {
    pub chrome: Chrome,
    /// The reason why the page is shown again.
    pub notice: Option<&'static str>,
    pub csrf: String,
    pub action: String,
    pub app: AppCard,
    pub user: UserCard,
    /// The code as the device shows it.
    pub user_code: String,
    /// The browser and system, such as "Firefox on Linux".
    pub device: String,
    pub address: String,
    pub asked: DisplayTime,
    pub scopes: Vec<ScopeLine>,
    pub switch_account: String,
}

/// `/device` after a decision.
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
    /// The reason why the page is shown again.
    pub notice: Option<&'static str>,
    pub csrf: String,
    /// The client to return to if the request has been deleted.
    pub carried_app: String,
    pub action: String,
    pub app: Option<AppCard>,
    pub accounts: Vec<AccountLine>,
}

pub struct AccountLine {
    /// The value that the button submits.
    pub id: String,
    pub name: String,
    pub detail: String,
    pub initials: String,
    pub signed_in: bool,
}

/// `/oauth2/logout`: asks for confirmation, unless the request's ID token hint names the session that ends.
#[derive(Template)]
#[template(path = "pages/logout.html")]
pub struct LogoutPage {
    pub chrome: Chrome,
    pub csrf: String,
    pub action: String,
    /// The parameters of the request, submitted again with the decision.
    pub fields: Vec<(String, String)>,
    pub user: Option<UserCard>,
    pub app: Option<AppCard>,
}

/// The page after a sign-out: notifies clients in frames, then continues to the address that the client asked for.
#[derive(Template)]
#[template(path = "pages/signed_out.html")]
pub struct SignedOutPage {
    pub chrome: Chrome,
    /// The URLs of the frames (OpenID Connect Front-Channel Logout 1.0 §2).
    pub frames: Vec<String>,
    /// The address that the browser continues to automatically.
    pub next: Option<String>,
    /// The address of a link that the user may follow.
    pub link: Option<String>,
}

/// The error page: a description for the user, and details for the administrator.
#[derive(Template)]
#[template(path = "pages/error.html")]
pub struct ErrorPage {
    pub chrome: Chrome,
    pub code: String,
    pub title: String,
    pub description: String,
    /// The name of the client that the page is about.
    pub about: Option<String>,
    /// At least one link. The first one is the primary one.
    pub links: Vec<PageLink>,
    pub request_id: String,
    pub time: DisplayTime,
    /// What the user can do now.
    pub hint: Option<&'static str>,
}

/// `/setup`: creates the first administrator.
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
    /// The errors: the field (`name`, `email`, `username`, `password`, or `form` for the whole form) and the message.
    pub errors: Vec<(String, String)>,
    /// The issuer as it appears in tokens.
    pub address: String,
    /// A description of where data is stored.
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
    /// The client to return to if the request has been deleted, or empty.
    pub carried_app: String,
    /// Whether a client's request is pending, so that the user can cancel.
    pub can_cancel: bool,
    pub app: Option<AppCard>,
    pub name: String,
    pub email: String,
    pub username: String,
    /// The errors: the field, or `form` for the whole form, and the message.
    pub errors: Vec<(String, String)>,
    /// The path to continue to without a client's request, or empty.
    pub next: String,
    /// The address of the sign-in page.
    pub login: String,
}

impl SignUpPage {
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|(name, _)| name == field).map(|(_, text)| text.as_str())
    }
}

/// A form that submits itself: the response to a client with `response_mode=form_post` (OAuth 2.0 Form Post Response
/// Mode §2), or another site's request sent again.
#[derive(Template)]
#[template(path = "pages/form_post.html")]
pub struct FormPostPage {
    pub chrome: Chrome,
    pub heading: &'static str,
    pub action: String,
    pub fields: Vec<(String, String)>,
}

/// `/`: describes the server and links to its pages.
#[derive(Template)]
#[template(path = "pages/home.html")]
pub struct HomePage {
    pub chrome: Chrome,
    pub viewer: Option<Viewer>,
}
