//! `/admin/apis`: the template values of the table of APIs, of the form for a new API and of the page of one
//! API with its rules and their trial.
//!
//! Forms keep the submitted values as strings, and the errors by field. The field names of a rule contain its
//! index: `rule_0_path` is the path of the first rule.

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
    /// The credential kinds that the gate accepts, by their names in API documents.
    pub credential_kinds: Vec<&'static str>,
    pub state: GateState,
}

/// Whether the API has a gate that can allow requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateState {
    NoGate,
    NoRules,
    Guarded,
}

impl GateState {
    /// Returns the tone and the text of the badge.
    fn badge(self) -> (&'static str, &'static str) {
        match self {
            Self::NoGate => ("off", "No gate"),
            Self::NoRules => ("warn", "Lets nobody in"),
            Self::Guarded => ("ok", "Guarded"),
        }
    }
}

/// The page `/admin/apis/new`.
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

/// The page `/admin/apis/{id}`.
#[derive(Template)]
#[template(path = "console/api.html")]
pub struct ApiPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub name: String,
    pub identifier: String,
    /// The URL of this page, below which its actions are.
    pub href: String,
    pub state: GateState,
    /// The absolute URL to which proxies send their subrequests, if the API has a gate.
    pub verify_url: Option<String>,
    /// The record of the API's gate, if it has one.
    pub record: Option<GateRecord>,
    pub trial: RuleTrial,
    pub form: ApiForm,
}

/// The settings of one API, submitted or stored.
#[derive(Clone, Default)]
pub struct ApiForm {
    pub name: String,
    pub scopes: String,
    pub self_registered_clients: bool,
    /// Empty: the default.
    pub access_token_format: String,
    pub access_token_lifetime: String,
    pub gate: String,
    /// The ticked values of `accepts`.
    pub accepts: Vec<String>,
    /// One origin per line.
    pub origins: String,
    pub burst: String,
    pub per_second: String,
    pub upstream_token: bool,
    pub rules: Vec<RuleRow>,
    /// Empty for a new API.
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

    /// Adds an empty row for a new rule at the end, unless there is one.
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

/// One rule as submitted.
#[derive(Clone, Default)]
pub struct RuleRow {
    /// The index of the row on the page, from 0.
    pub index: usize,
    /// The typed position in the order of evaluation, from 1.
    pub at: String,
    pub methods: String,
    pub path: String,
    /// Empty for any authenticated caller, otherwise a value of [`RuleRow::who_choices`].
    pub who: String,
    pub scopes: String,
    pub groups: String,
    pub remove: bool,
}

impl RuleRow {
    pub const ANYBODY: &'static str = "anonymous";
    /// The fields of a row that browsers send even if they are empty.
    pub const FIELDS: [&'static str; 6] = ["at", "methods", "path", "who", "scopes", "groups"];

    /// Returns whether nothing is typed in the row. The position does not count.
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
            ("", "Every authenticated caller"),
            (Self::ANYBODY, "Anybody"),
            (Acr::Password.as_str(), "Who has signed in"),
            (Acr::PhishingResistant.as_str(), "Who has signed in with a passkey"),
        ]
        .map(|(value, label)| Choice { value: value.to_owned(), label: label.to_owned(), selected: value == self.who })
        .to_vec()
    }
}

/// Returns the name of a rule's field.
pub fn rule_field(index: usize, field: &str) -> String {
    format!("rule_{index}_{field}")
}

/// Returns the name for the errors of a rule as a whole.
pub fn rule_name(index: usize) -> String {
    format!("rule_{index}")
}

/// A request to try on the rules.
#[derive(Clone, Default)]
pub struct RuleTrial {
    pub method: String,
    pub path: String,
    pub outcome: Option<TrialOutcome>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialOutcome {
    /// The request is invalid. The text says why.
    Invalid(String),
    /// The deciding rule: its number from 1, the requests it matches and its conditions.
    Rule {
        number: usize,
        shown: String,
        asks: String,
    },
    NoRule,
}

super::in_section!(Apis: ApisPage, NewApiPage, ApiPage);
