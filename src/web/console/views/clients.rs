//! `/admin/clients`: the template values of the table of clients, of the choice of a kind, of the form for a
//! new client and of the page of one client.
//!
//! Forms keep the submitted values as strings, under the metadata names of RFC 7591 §2, and the errors by
//! field. A new secret is shown in one response only (`ClientPage::secret`) and must not be logged, so these
//! structs have no `Debug`.

use askama::Template;

pub use super::client_form::ClientForm;
use super::groups::GroupPicker;
use super::{Choice, Pager, errors_of};
use crate::web::view::{AppCard, Chrome, DisplayTime, Notice, Viewer};

#[derive(Template)]
#[template(path = "console/clients.html")]
pub struct ClientsPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    /// The search term (`q`).
    pub q: String,
    /// The options of the filter `kind`. The first means all kinds.
    pub kinds: Vec<Choice>,
    /// The options of the filter `state`.
    pub states: Vec<Choice>,
    /// Whether a filter is set. An empty table then says so.
    pub filtered: bool,
    pub clients: Vec<ClientListRow>,
    pub pager: Pager,
}

pub struct ClientListRow {
    pub client_id: String,
    /// The URL of the client's page.
    pub href: String,
    pub app: AppCard,
    pub kind: Kind,
    pub made: DisplayTime,
    pub on: bool,
    /// Whether the client has an imported secret that is short enough to be guessed.
    pub has_short_secret: bool,
}

/// The kind decides which form is shown and which values are preset. The texts about it are defined here.
pub use crate::domain::client::ClientKind as Kind;

impl Kind {
    /// Returns the label in the table and in the filter.
    pub fn label(self) -> &'static str {
        match self {
            Self::Web => "Web",
            Self::Browser => "Browser or mobile",
            Self::Machine => "Machine",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Web => "Web app with a server",
            Self::Browser => "Single-page, mobile or desktop app",
            Self::Machine => "Machine to machine",
        }
    }

    fn explanation(self) -> &'static str {
        match self {
            Self::Web => "People sign in, and its server keeps a secret. Most apps that you install yourself.",
            Self::Browser => "People sign in, but everyone can read its code, so it has no secret. PKCE protects it.",
            Self::Machine => "A job or a service that calls an API for itself. Nobody signs in.",
        }
    }

    fn icon(self) -> &'static str {
        match self {
            Self::Web => "globe",
            Self::Browser => "phone",
            Self::Machine => "settings",
        }
    }

    fn signs_people_in(self) -> bool {
        self != Self::Machine
    }

    fn address_hint(self) -> &'static str {
        match self {
            Self::Web | Self::Browser => "One a line, compared letter by letter.",
            Self::Machine => "One a line. Only an app that signs people in has any.",
        }
    }
}

/// The page `/admin/clients/new`.
#[derive(Template)]
#[template(path = "console/client_kind.html")]
pub struct ClientKindPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
}

/// The page `/admin/clients/new/{kind}`.
#[derive(Template)]
#[template(path = "console/client_new.html")]
pub struct NewClientPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub kind: Kind,
    pub form: NewClientForm,
}

/// The form for a new client. [`NewClientForm::blank`] returns the form with the defaults of a kind.
#[derive(Clone, Default)]
pub struct NewClientForm {
    pub client_name: String,
    /// Empty: an id is generated.
    pub client_id: String,
    /// One URI per line.
    pub redirect_uris: String,
    pub post_logout_redirect_uris: String,
    pub scope: String,
    /// Always empty, because nothing is stored yet.
    pub unknown_scopes: String,
    /// `required` or `trusted`.
    pub consent: String,
    /// The users that may use the client: `everybody` or `groups`.
    pub access: String,
    pub allowed_groups: GroupPicker,
    pub require_pkce: bool,
    /// Host names separated by spaces.
    pub http_redirect_hosts: String,
    pub policy_uri: String,
    pub tos_uri: String,
    /// Field (empty for the form as a whole) and message.
    pub errors: Vec<(String, String)>,
}

/// The value of `access` for a client that all users may use.
pub const EVERYBODY: &str = "everybody";
/// The value of `access` for a client that only members of some groups may use.
pub const IN_GROUPS: &str = "groups";

impl NewClientForm {
    pub fn blank(kind: Kind) -> Self {
        let scope = match kind {
            Kind::Web | Kind::Browser => "openid profile email",
            Kind::Machine => "",
        };
        Self {
            scope: scope.to_owned(),
            consent: "required".to_owned(),
            access: EVERYBODY.to_owned(),
            require_pkce: kind.signs_people_in(),
            ..Self::default()
        }
    }

    pub fn error(&self, field: &str) -> Option<String> {
        errors_of(&self.errors, field)
    }

    fn folded_error(&self) -> bool {
        ["http_redirect_hosts", "policy_uri", "tos_uri"].into_iter().any(|field| self.error(field).is_some())
    }
}

/// The page `/admin/clients/{id}`.
#[derive(Template)]
#[template(path = "console/client.html")]
pub struct ClientPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub client_id: String,
    /// The URL of this page, below which its actions are.
    pub href: String,
    pub app: AppCard,
    pub kind: Kind,
    pub made: DisplayTime,
    /// How the client was created, as the text before `made`: "connected".
    pub came: &'static str,
    pub on: bool,
    /// Whether the client authenticates with a secret that can be replaced here.
    pub has_secret: bool,
    /// Whether the secret was imported and is short enough to be guessed.
    pub has_short_secret: bool,
    /// The new secret. It is shown in one response only.
    pub secret: Option<String>,
    /// Whether there is an API that accepts API keys.
    pub takes_keys: bool,
    /// The issuer, exactly as in tokens.
    pub issuer: String,
    /// The users that may use the client.
    pub users: ClientUsers,
    pub form: ClientForm,
}

/// The users that may use a client now.
pub struct ClientUsers {
    /// The allowed groups. Empty if all users may use the client.
    pub groups: Vec<AllowedGroup>,
    /// The first members of these groups by username; `count` is the number of all.
    pub members: Vec<GroupMember>,
    pub count: u64,
}

impl ClientUsers {
    fn more(&self) -> u64 {
        self.count.saturating_sub(self.members.len() as u64)
    }
}

pub struct AllowedGroup {
    pub name: String,
    pub is_there: bool,
    pub members: u64,
}

pub struct GroupMember {
    pub name: String,
    pub href: String,
}

impl ClientPage {
    fn first_redirect_uri(&self) -> Option<&str> {
        self.form.redirect_uris.lines().map(str::trim).find(|line| !line.is_empty())
    }
}

super::in_section!(Apps: ClientsPage, ClientKindPage, NewClientPage, ClientPage);
