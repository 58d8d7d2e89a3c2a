//! API keys on the account pages and in the console: a key as a list entry, the APIs that accept keys, and the form
//! for a new key. The page after the form shows the new key once.
//!
//! See also [`super::account::api_keys`] and [`super::console::api_keys`], and the template `templates/api_key.html`.

use axum::http::StatusCode;
use ipnet::IpNet;

use super::console::form_errors;
use super::error::PageError;
use super::extract::{FormFields, SignedIn};
use super::view::{Choice, DisplayTime};
use crate::domain::api::Api;
use crate::domain::api_key::{ApiKey, ApiKeySecret, Owner, network, parse_key_name};
use crate::domain::gate::GateName;
use crate::domain::scope::Scopes;
use crate::env::Timestamp;
use crate::manage::FieldError;
use crate::manage::api_keys::{self as manage, MAX_KEYS, NewApiKey};
use crate::store::api_keys::{self as rows, ApiKeyFilter};
use crate::web::view::visible;

/// The fields that a complete form has.
pub const FIELDS: [&str; 3] = ["name", "expires", "allow"];
/// The lifetimes that a user can choose: form value, label and days. The first one is the default.
const EXPIRY_CHOICES: [(&str, &str, Option<i64>); 4] = [
    ("90", "In 90 days", Some(90)),
    ("30", "In 30 days", Some(30)),
    ("365", "In a year", Some(365)),
    ("never", "Never", None),
];

/// One key in a list.
pub struct KeyLine {
    /// The key id, which is used in URLs. It is not the secret.
    pub id: String,
    pub name: String,
    /// The display name of the API, or the gate if no API with this gate exists any more.
    pub api: String,
    pub scopes: Vec<String>,
    pub networks: Vec<String>,
    pub made: DisplayTime,
    pub ends: Option<DisplayTime>,
    pub expired: bool,
    pub last_used: Option<DisplayTime>,
}

/// An API that accepts keys.
pub struct KeyApi {
    pub gate: String,
    pub name: String,
}

/// The values of the form for a new key, and their errors.
#[derive(Clone, Default)]
pub struct KeyForm {
    pub name: String,
    pub scopes: Vec<Choice>,
    pub expires: Vec<Choice>,
    /// One network per line.
    pub allow: String,
    /// Whether the form asks to confirm that the key has no scope.
    pub asks_without: bool,
    /// Field (empty for the form as a whole) and message.
    pub errors: Vec<(String, String)>,
}

impl KeyForm {
    /// Returns an empty form. `may_have` returns whether the owner may have a scope.
    pub fn blank(api: &Api, may_have: impl Fn(&str) -> bool) -> Self {
        Self { scopes: boxes(api, may_have, &[]), expires: ends(EXPIRY_CHOICES[0].0), ..Self::default() }
    }

    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|(name, _)| name == field).map(|(_, text)| text.as_str())
    }
}

fn boxes(api: &Api, may_have: impl Fn(&str) -> bool, ticked: &[String]) -> Vec<Choice> {
    let choice = |scope: &str| Choice {
        value: scope.to_owned(),
        label: scope.to_owned(),
        selected: ticked.iter().any(|ticked| ticked == scope),
    };
    api.scopes.iter().filter(|scope| may_have(scope)).map(choice).collect()
}

fn ends(chosen: &str) -> Vec<Choice> {
    let choice = |(value, label, _): (&str, &str, _)| Choice {
        value: value.to_owned(),
        label: label.to_owned(),
        selected: value == chosen,
    };
    EXPIRY_CHOICES.map(choice).to_vec()
}

/// Returns the APIs that accept keys.
pub async fn apis(person: &SignedIn) -> Result<Vec<Api>, PageError> {
    let store = person.app().store();
    let all = store.authority().apis(store).await.map_err(|error| person.error(error))?;
    Ok(all.iter().filter(|api| api.allows_api_keys()).cloned().collect())
}

pub fn choices(apis: &[Api]) -> Vec<KeyApi> {
    let choice =
        |api: &Api| Some(KeyApi { gate: api.gate.as_ref()?.as_str().to_owned(), name: visible(api.display_name()) });
    apis.iter().filter_map(choice).collect()
}

/// Returns the API with that gate, if it accepts keys.
pub async fn api_for_gate(person: &SignedIn, gate: &GateName) -> Result<Api, PageError> {
    let found = apis(person).await?.into_iter().find(|api| api.gate.as_ref() == Some(gate));
    found.ok_or_else(|| person.not_found("There is no API of that name that takes keys."))
}

/// Returns all keys of an owner, the newest first.
pub async fn lines(person: &SignedIn, owner: Owner) -> Result<Vec<KeyLine>, PageError> {
    let (store, now) = (person.app().store(), person.app().env().now());
    let filter = ApiKeyFilter { owner: Some(owner), most: MAX_KEYS as u64, ..ApiKeyFilter::default() };
    let keys = rows::list(store.read(), &filter).await.map_err(|error| person.error(error))?;
    let apis = store.authority().apis(store).await.map_err(|error| person.error(error))?;
    Ok(keys.iter().map(|key| line(key, &apis, now)).collect())
}

fn line(key: &ApiKey, apis: &[Api], now: Timestamp) -> KeyLine {
    let when = |at: Timestamp| DisplayTime::new(at.date());
    let api = apis.iter().find(|api| api.identifier == key.api && api.gate.as_ref() == Some(&key.gate));
    KeyLine {
        id: key.id.to_string(),
        name: visible(&key.name),
        api: api.map_or_else(|| key.gate.as_str().to_owned(), |api| visible(api.display_name())),
        scopes: key.scopes.iter().map(ToOwned::to_owned).collect(),
        networks: key.networks.iter().map(ToString::to_string).collect(),
        made: when(key.created_at),
        ends: key.expires_at.map(when),
        expired: key.is_expired(now),
        last_used: key.last_used_at.map(when),
    }
}

/// The new key, or the form with its errors and the response status.
pub enum KeyFormOutcome {
    Key(ApiKeySecret),
    Invalid(StatusCode, KeyForm),
}

/// Creates a key from the submitted form.
pub async fn submit(
    person: &SignedIn,
    sent: &FormFields,
    owner: Owner,
    api: &Api,
    may_have: impl Fn(&str) -> bool,
) -> Result<KeyFormOutcome, PageError> {
    let scopes = boxes(api, may_have, &sent.all("scope"));
    // A key without a scope only passes rules that require none. That is rarely intended, so the form asks for
    // confirmation.
    let asks_without = !scopes.is_empty() && scopes.iter().all(|scope| !scope.selected);
    let again = |errors| KeyForm {
        name: sent.text("name").to_owned(),
        scopes,
        expires: ends(sent.text("expires")),
        allow: sent.text("allow").to_owned(),
        asks_without,
        errors,
    };
    let unasked = (asks_without && sent.text("without_scope") != "true")
        .then(|| ("scope", "Tick what it may do, or say below that it needs nothing.".to_owned()));
    let new = match (read(person, sent, owner, api), unasked) {
        (Ok(new), None) => new,
        (read, unasked) => {
            let errors = read.err().into_iter().flatten().chain(unasked);
            let errors = errors.map(|(field, text)| (field.to_owned(), text)).collect();
            return Ok(KeyFormOutcome::Invalid(StatusCode::UNPROCESSABLE_ENTITY, again(errors)));
        }
    };
    match manage::create(&person.app().manager(), &person.by(), new).await {
        Ok((secret, _)) => Ok(KeyFormOutcome::Key(secret)),
        Err(error) => {
            let (status, errors) = form_errors(person, error)?;
            Ok(KeyFormOutcome::Invalid(status, again(errors)))
        }
    }
}

type KeyFormErrors = Vec<(&'static str, String)>;

/// Parses the form. Returns the errors of all fields if any of them is invalid.
fn read(person: &SignedIn, sent: &FormFields, owner: Owner, api: &Api) -> Result<NewApiKey, KeyFormErrors> {
    let mut wrong = KeyFormErrors::new();
    let name = sent.text("name").to_owned();
    if let Err(problem) = parse_key_name(&name) {
        wrong.push(("name", FieldError::new("name", problem).sentence()));
    }
    let scopes = Scopes::parse(&sent.all("scope").join(" ")).unwrap_or_else(|problem| {
        wrong.push(("scope", FieldError::new("scope", problem).sentence()));
        Scopes::default()
    });
    let days = EXPIRY_CHOICES.iter().find(|(value, ..)| *value == sent.text("expires")).map(|(_, _, days)| *days);
    if days.is_none() {
        wrong.push(("expires", "Choose one of these.".to_owned()));
    }
    let networks = sent.text("allow").split([',', '\n']).map(str::trim).filter(|line| !line.is_empty()).map(network);
    let networks: Vec<IpNet> = networks.collect::<Result<_, _>>().unwrap_or_else(|problem| {
        wrong.push(("allow", FieldError::new("allow", problem).sentence()));
        Vec::new()
    });
    let Some(gate) = api.gate.clone() else { return Err(vec![("", "This API has no gate any more.".to_owned())]) };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let now = person.app().env().now();
    let expires_at = days.flatten().map(|days| now.plus_seconds(days * 86_400));
    Ok(NewApiKey { owner, gate, name, scopes, expires_at, networks })
}
