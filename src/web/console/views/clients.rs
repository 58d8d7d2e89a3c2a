//! `/admin/clients`: the table of apps, the choice of a kind, the form for a new app and the page of one app.
//!
//! Forms keep what was typed as strings, under the metadata names of RFC 7591 section 2, and say by field what was
//! refused. A new secret is part of exactly one answer (`ClientPage::secret`), so these structs have no `Debug`.

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
    /// What was searched for (`q`).
    pub q: String,
    /// The filter `kind`; the first choice is the one for all of them.
    pub kinds: Vec<Choice>,
    /// The filter `state`.
    pub states: Vec<Choice>,
    /// Whether a filter is set, so that an empty table can say why it is empty.
    pub filtered: bool,
    pub clients: Vec<ClientListRow>,
    pub pager: Pager,
}

pub struct ClientListRow {
    pub client_id: String,
    /// Its page.
    pub href: String,
    pub app: AppCard,
    pub kind: Kind,
    pub made: DisplayTime,
    pub on: bool,
    /// Whether its secret was imported and can be guessed.
    pub has_short_secret: bool,
}

/// Decides which form is shown and what is preset. What people read of it stands here.
pub use crate::domain::client::ClientKind as Kind;

impl Kind {
    /// In the table and in the filter.
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

/// `/admin/clients/new`
#[derive(Template)]
#[template(path = "console/client_kind.html")]
pub struct ClientKindPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
}

/// `/admin/clients/new/{kind}`
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

/// A form that has not been sent yet has the kind's defaults: [`NewClientForm::blank`].
#[derive(Clone, Default)]
pub struct NewClientForm {
    pub client_name: String,
    /// Empty: one is generated.
    pub client_id: String,
    /// One a line.
    pub redirect_uris: String,
    pub post_logout_redirect_uris: String,
    pub scope: String,
    /// Always empty: nothing is stored yet.
    pub unknown_scopes: String,
    /// `required` or `trusted`.
    pub consent: String,
    /// Who may use it: `everybody` or `groups`.
    pub access: String,
    pub allowed_groups: GroupPicker,
    pub require_pkce: bool,
    /// With spaces between them.
    pub http_redirect_hosts: String,
    pub policy_uri: String,
    pub tos_uri: String,
    /// Field (empty for the form as a whole) and message.
    pub errors: Vec<(String, String)>,
}

/// The value of `access` for an app that is open to all users.
pub const EVERYBODY: &str = "everybody";
/// And for one that only some groups may use.
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

/// `/admin/clients/{id}`
#[derive(Template)]
#[template(path = "console/client.html")]
pub struct ClientPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub client_id: String,
    /// This page, below which its actions are.
    pub href: String,
    pub app: AppCard,
    pub kind: Kind,
    pub made: DisplayTime,
    /// How it came to be here, as it stands before that moment.
    pub came: &'static str,
    pub on: bool,
    /// Whether the app signs in with a secret that can be replaced here.
    pub has_secret: bool,
    /// Whether it was imported and can be guessed.
    pub has_short_secret: bool,
    /// The new secret, in the one answer that shows it.
    pub secret: Option<String>,
    /// Whether there is an API that takes keys.
    pub takes_keys: bool,
    /// The issuer, exactly as it stands in tokens.
    pub issuer: String,
    /// Who may use it.
    pub users: ClientUsers,
    pub form: ClientForm,
}

/// Who may use an app, as it is now.
pub struct ClientUsers {
    /// The groups it is open to; none where it is open to everybody.
    pub groups: Vec<AllowedGroup>,
    /// The first of their members by username, and how many there are.
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
