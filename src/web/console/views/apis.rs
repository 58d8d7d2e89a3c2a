//! `/admin/apis`: the table of APIs, the form for a new one, and the page of one with its rules and a place to try them.
//!
//! Forms keep what was typed as strings and say by field what was refused. A rule's fields carry its place in the list:
//! `rule_0_path` is the path of the first.

use askama::Template;

use super::refusals::GateRecord;
use super::{Choice, errors_of};
use crate::domain::authorization::Acr;
use crate::domain::gate::CredentialKind;
use crate::web::edit::EditState;
use crate::web::view::{Chrome, Notice, Viewer};

#[derive(Template)]
#[template(path = "console/apis.html")]
pub struct ApisPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub apis: Vec<ApiRow>,
}

pub struct ApiRow {
    pub name: String,
    pub identifier: String,
    pub href: String,
    pub gate: Option<String>,
    /// What its gate takes, as documents have it.
    pub credential_kinds: Vec<&'static str>,
    pub state: GateState,
}

/// Whether its gate lets anybody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateState {
    NoGate,
    NoRules,
    Guarded,
}

impl GateState {
    /// Tone and words of its badge.
    fn badge(self) -> (&'static str, &'static str) {
        match self {
            Self::NoGate => ("off", "No gate"),
            Self::NoRules => ("warn", "Lets nobody in"),
            Self::Guarded => ("ok", "Guarded"),
        }
    }
}

/// `/admin/apis/new`
#[derive(Template)]
#[template(path = "console/api_new.html")]
pub struct NewApiPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub identifier: String,
    pub form: ApiForm,
}

/// `/admin/apis/{id}`
#[derive(Template)]
#[template(path = "console/api.html")]
pub struct ApiPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub name: String,
    pub identifier: String,
    /// This page, below which its actions are.
    pub href: String,
    pub state: GateState,
    /// Where proxies ask, in full.
    pub verify_url: Option<String>,
    /// What came to its gate.
    pub record: Option<GateRecord>,
    pub trial: RuleTrial,
    pub form: ApiForm,
}

/// The settings of one API, as typed or as stored.
#[derive(Clone, Default)]
pub struct ApiForm {
    pub name: String,
    pub scopes: String,
    pub self_registered_clients: bool,
    /// Empty: the usual one.
    pub access_token_format: String,
    pub access_token_lifetime: String,
    pub gate: String,
    /// The values of `accepts` that are ticked.
    pub accepts: Vec<String>,
    /// A line each.
    pub origins: String,
    pub burst: String,
    pub per_second: String,
    pub upstream_token: bool,
    pub rules: Vec<RuleRow>,
    /// Of a new one it is empty.
    pub edit: EditState,
    /// Field (empty for the form as a whole) and message.
    pub errors: Vec<(String, String)>,
}

impl ApiForm {
    pub fn error(&self, field: &str) -> Option<String> {
        errors_of(&self.errors, field)
    }

    pub fn accept_choices(&self) -> Vec<Choice> {
        let words = |way| match way {
            CredentialKind::Bearer => "Access tokens from here: bearer",
            CredentialKind::ApiKey => "API keys: api_key",
            CredentialKind::Basic => "An app’s ID and secret: basic",
            CredentialKind::MessageSignature => "Signed requests, RFC 9421: message_signature",
            CredentialKind::Session => "People’s browsers, by their session here: session",
            CredentialKind::Oauth1 => "Signed requests of old, OAuth 1.0: oauth1",
            CredentialKind::Mtls => "An app’s TLS certificate: mtls",
        };
        let choice = |way: CredentialKind| Choice {
            value: way.as_str().to_owned(),
            label: words(way).to_owned(),
            selected: self.accepts.iter().any(|ticked| ticked == way.as_str()),
        };
        CredentialKind::ALL.map(choice).to_vec()
    }

    /// With a row at the end to add a rule in.
    #[must_use]
    pub fn with_empty_row(mut self) -> Self {
        if self.rules.last().is_none_or(|row| !row.is_blank()) {
            let index = self.rules.len();
            self.rules.push(RuleRow { index, at: (index + 1).to_string(), ..RuleRow::default() });
        }
        self
    }

    fn folded_error(&self) -> bool {
        let folded = ["access_token_format", "access_token_lifetime", "rate_limit", "upstream_token"];
        folded.into_iter().any(|field| self.error(field).is_some())
    }
}

/// One rule as typed.
#[derive(Clone, Default)]
pub struct RuleRow {
    /// Where it stands on the page, from 0.
    pub index: usize,
    /// Its place in the order, from 1.
    pub at: String,
    pub methods: String,
    pub path: String,
    /// Empty for whoever is known; else one of [`RuleRow::WHO`].
    pub who: String,
    pub scopes: String,
    pub groups: String,
    pub remove: bool,
}

impl RuleRow {
    pub const ANYBODY: &'static str = "anonymous";
    /// The fields of a row that a browser sends whatever is in them.
    pub const FIELDS: [&'static str; 6] = ["at", "methods", "path", "who", "scopes", "groups"];

    /// Whether nothing is typed in it.
    pub fn is_blank(&self) -> bool {
        [&self.methods, &self.path, &self.who, &self.scopes, &self.groups].iter().all(|text| text.trim().is_empty())
    }

    fn field(&self, field: &str) -> String {
        rule_field(self.index, field)
    }

    fn name(&self) -> String {
        rule_name(self.index)
    }

    pub fn who_choices(&self) -> Vec<Choice> {
        [
            ("", "Who proves who they are"),
            (Self::ANYBODY, "Anybody"),
            (Acr::Password.as_str(), "Who has signed in"),
            (Acr::PhishingResistant.as_str(), "Who has signed in with a passkey"),
        ]
        .map(|(value, label)| Choice { value: value.to_owned(), label: label.to_owned(), selected: value == self.who })
        .to_vec()
    }
}

/// The name of a rule's field.
pub fn rule_field(index: usize, field: &str) -> String {
    format!("rule_{index}_{field}")
}

/// What is wrong with a rule as a whole stands under this name.
pub fn rule_name(index: usize) -> String {
    format!("rule_{index}")
}

/// A request that somebody wants to try on the rules.
#[derive(Clone, Default)]
pub struct RuleTrial {
    pub method: String,
    pub path: String,
    pub outcome: Option<TrialOutcome>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialOutcome {
    /// No proxy's question: the sentence says why.
    Invalid(String),
    /// Which rule decides, from 1, what it is for and what it asks for.
    Rule {
        number: usize,
        shown: String,
        asks: String,
    },
    NoRule,
}

super::in_section!(Apis: ApisPage, NewApiPage, ApiPage);
