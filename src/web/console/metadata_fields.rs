//! The fields of [`super::client_members`]: converts each metadata member to text and back, so that an error
//! is shown at its field.

use serde_json::{Map, Value};

use super::FieldErrors;
use super::client_members::{MemberInput, members};
use crate::domain::client_metadata::{ClientMetadata, ResponseType};
use crate::manage::FieldError;
use crate::web::extract::AdminForm;

/// The text of each field by name, submitted or stored.
#[derive(Clone, Default)]
pub struct FieldTexts(Vec<(&'static str, String)>);

impl FieldTexts {
    pub fn shown(meta: &ClientMetadata) -> Self {
        let stored = object(meta);
        Self(members().map(|member| (member.name, text(member.shape, stored.get(member.name)))).collect())
    }

    pub fn typed(form: &AdminForm) -> Self {
        Self(members().map(|member| (member.name, form.text(member.name).to_owned())).collect())
    }

    /// Creates the texts with `text` for each member.
    #[cfg(test)]
    pub fn all(text: impl Fn(&super::client_members::MetadataMember) -> &'static str) -> Self {
        Self(members().map(|member| (member.name, text(member).to_owned())).collect())
    }

    /// Sets one field to its text in `other`.
    pub fn take(&mut self, name: &str, other: &Self) {
        for (_, text) in self.0.iter_mut().filter(|(known, _)| *known == name) {
            other.get(name).clone_into(text);
        }
    }

    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
    }

    /// Applies the texts and `response_types` to `meta`. Also returns the errors by field.
    pub fn metadata(
        &self,
        mut meta: ClientMetadata,
        response_types: &ResponseTypes<'_>,
    ) -> (ClientMetadata, FieldErrors) {
        let changed = response_types.changed(&mut meta);
        let (mut whole, mut errors) = (meta, FieldErrors::new());
        let mut set = |name: &'static str, value: Result<Option<Value>, String>| {
            let made = value.and_then(|value| with(&whole, name, value));
            match made {
                Ok(made) => whole = made,
                Err(problem) => errors.push((name.to_owned(), FieldError::new(name, problem).sentence())),
            }
        };
        if let Some(changed) = changed {
            set("response_types", Ok(Some(changed)));
        }
        for member in members() {
            set(member.name, value(member.shape, self.get(member.name)));
        }
        (whole, errors)
    }
}

/// The response types of a client before the change, and those that are ticked in the form.
pub struct ResponseTypes<'a> {
    pub before: Vec<ResponseType>,
    pub ticked: &'a [String],
}

impl ResponseTypes<'_> {
    /// Returns the new value of `response_types`, and adds the grant types that new response types need to
    /// `meta`. Returns `None` if nothing changed: response types that are not stored are derived from the
    /// grant types, and this must stay so.
    fn changed(&self, meta: &mut ClientMetadata) -> Option<Value> {
        let known: Vec<ResponseType> = self.ticked.iter().filter_map(|name| ResponseType::parse(name)).collect();
        let same = known.len() == self.ticked.len() && known.len() == self.before.len();
        if same && known.iter().all(|it| self.before.contains(it)) {
            return None;
        }
        for grant_type in known.iter().filter(|it| !self.before.contains(it)).flat_map(|it| it.required_grant_types()) {
            if !meta.allows(grant_type) {
                meta.grant_types.push(grant_type);
            }
        }
        Some(self.ticked.iter().map(String::as_str).collect())
    }
}

fn object(meta: &ClientMetadata) -> Map<String, Value> {
    match serde_json::to_value(meta) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// Sets one member of `meta`. `None` removes it, which restores its default.
fn with(meta: &ClientMetadata, name: &str, value: Option<Value>) -> Result<ClientMetadata, String> {
    let mut members = object(meta);
    match value {
        Some(value) => members.insert(name.to_owned(), value),
        None => members.remove(name),
    };
    serde_json::from_value(Value::Object(members)).map_err(|error| error.to_string())
}

fn text(shape: MemberInput, stored: Option<&Value>) -> String {
    let list = |between: &str| {
        let items = stored.and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).collect::<Vec<_>>().join(between)
    };
    match (shape, stored) {
        (MemberInput::Words, _) => list(" "),
        (MemberInput::Lines, _) => list("\n"),
        (MemberInput::Json, Some(value)) => serde_json::to_string_pretty(value).unwrap_or_default(),
        (_, Some(Value::String(text))) => text.clone(),
        (_, Some(value)) => value.to_string(),
        (_, None) => String::new(),
    }
}

fn value(shape: MemberInput, typed: &str) -> Result<Option<Value>, String> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(None);
    }
    let listed = |items: Vec<&str>| Ok(Some(items.into_iter().collect()));
    match shape {
        MemberInput::Choice(_) | MemberInput::RequiredChoice(_) | MemberInput::Text => Ok(Some(typed.into())),
        MemberInput::Flag => Ok(Some((typed == "true").into())),
        MemberInput::Seconds => {
            typed.parse::<u32>().map(|seconds| Some(seconds.into())).map_err(|_| "is a number of seconds".to_owned())
        }
        MemberInput::Words => listed(typed.split_whitespace().collect()),
        MemberInput::Lines => listed(typed.lines().map(str::trim).filter(|line| !line.is_empty()).collect()),
        MemberInput::Json => serde_json::from_str(typed).map(Some).map_err(|error| format!("is no JSON: {error}")),
    }
}
