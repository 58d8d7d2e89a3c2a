//! Converts between the form of an API and `domain::api`, with an error message for each invalid field.
//!
//! See also [`super::api_rules`], for the rules of the form, and [`super::apis`] and [`super::api`], which
//! show the form.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::api_rules;
use super::client_form::name_of;
use super::views::apis::ApiForm;
use super::{FieldErrors, at};
use crate::domain::api::Api;
use crate::domain::gate::{GateName, RateLimit};
use crate::domain::scope::Scopes;
use crate::domain::web_address::AppOrigin;
use crate::manage::FieldError;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::web::edit::EditState;
use crate::web::error::PageError;
use crate::web::extract::AdminForm;

/// The text fields of the form, apart from those of its rules. Browsers send them even if they are empty.
const FIELDS: [&str; 9] = [
    "name",
    "scopes",
    "access_token_format",
    "access_token_lifetime",
    "gate",
    "origins",
    "burst",
    "per_second",
    "rules",
];

/// Returns the form with the stored settings.
pub fn shown(api: &Api) -> ApiForm {
    ApiForm {
        name: api.name.clone(),
        scopes: api.scopes.to_string(),
        self_registered_clients: api.self_registered_clients,
        access_token_format: api.access_token_format.as_ref().map(name_of).unwrap_or_default(),
        access_token_lifetime: api.access_token_lifetime.map(|seconds| seconds.to_string()).unwrap_or_default(),
        gate: api.gate.as_ref().map(|gate| gate.as_str().to_owned()).unwrap_or_default(),
        accepts: api.accepts.iter().map(|way| way.as_str().to_owned()).collect(),
        origins: api.origins.iter().map(AppOrigin::as_str).collect::<Vec<_>>().join("\n"),
        burst: api.rate_limit.map(|limit| limit.burst.to_string()).unwrap_or_default(),
        per_second: api.rate_limit.map(|limit| limit.per_second.to_string()).unwrap_or_default(),
        upstream_token: api.upstream_token,
        rules: api_rules::shown(&api.rules),
        edit: EditState::default(),
        errors: Vec::new(),
    }
}

/// Returns the submitted form. An incomplete form is an error.
pub fn typed(form: &AdminForm) -> Result<ApiForm, PageError> {
    form.complete(&FIELDS)?;
    let text = |name| form.text(name).trim().to_owned();
    let rules = api_rules::typed(form).ok_or_else(|| {
        let text = "The form did not arrive as a whole. Go back, reload the page and try again.";
        form.signed_in.error(OAuthError::new(ErrorCode::InvalidRequest, text))
    })?;
    Ok(ApiForm {
        name: text("name"),
        scopes: text("scopes"),
        self_registered_clients: form.ticked("self_registered_clients"),
        access_token_format: text("access_token_format"),
        access_token_lifetime: text("access_token_lifetime"),
        gate: text("gate"),
        accepts: form.all("accepts"),
        origins: text("origins"),
        burst: text("burst"),
        per_second: text("per_second"),
        upstream_token: form.ticked("upstream_token"),
        rules,
        edit: EditState::default(),
        errors: Vec::new(),
    })
}

/// Applies the form to `api`.
pub fn read(form: &ApiForm, mut api: Api) -> Result<Api, FieldErrors> {
    let mut errors = FieldErrors::new();
    api.name.clone_from(&form.name);
    let scopes: Vec<&str> = form.scopes.split_whitespace().collect();
    match Scopes::parse(&scopes.join(" ")) {
        Ok(scopes) => api.scopes = scopes,
        Err(problem) => errors.push(wrong("scopes", problem)),
    }
    match chosen(&form.access_token_format) {
        Ok(format) => api.access_token_format = format,
        Err(()) => errors.extend(at("access_token_format", "Choose one of these.")),
    }
    match number(&form.access_token_lifetime) {
        Ok(seconds) => api.access_token_lifetime = seconds,
        Err(()) => errors.extend(at("access_token_lifetime", "Write a number of seconds, or leave it empty.")),
    }
    match Some(form.gate.clone()).filter(|gate| !gate.is_empty()).map(GateName::try_from).transpose() {
        Ok(gate) => api.gate = gate,
        Err(problem) => errors.push(wrong("gate", problem)),
    }
    match form.accepts.iter().map(|way| chosen(way)).collect::<Result<Vec<_>, ()>>() {
        Ok(ways) => api.accepts = ways.into_iter().flatten().collect(),
        Err(()) => errors.extend(at("accepts", "Choose from these.")),
    }
    match form.origins.split_whitespace().map(|text| AppOrigin::try_from(text.to_owned())).collect() {
        Ok(origins) => api.origins = origins,
        Err(problem) => errors.push(wrong("origins", problem)),
    }
    match (number(&form.burst), number(&form.per_second)) {
        (Ok(None), Ok(None)) => api.rate_limit = None,
        (Ok(Some(burst)), Ok(Some(per_second))) => api.rate_limit = Some(RateLimit { burst, per_second }),
        _ => errors.extend(at("rate_limit", "Write both numbers, or leave both fields empty.")),
    }
    api.upstream_token = form.upstream_token;
    api.self_registered_clients = form.self_registered_clients;
    match api_rules::read(&form.rules, &api.scopes) {
        Ok(rules) => api.rules = rules,
        Err(problems) => errors.extend(problems),
    }
    if errors.is_empty() {
        return Ok(api);
    }
    // The values that could be parsed may still be invalid in combination.
    for problem in api.problems() {
        if !errors.iter().any(|(field, _)| field == problem.field) {
            errors.push(wrong(problem.field, problem.message));
        }
    }
    Err(errors)
}

pub(super) fn wrong(field: impl Into<String>, problem: impl Into<String>) -> (String, String) {
    let field = field.into();
    let sentence = FieldError::new(field.clone(), problem).sentence();
    (field, sentence)
}

/// Parses a value by its name in API documents. `Ok(None)` if nothing was chosen.
fn chosen<T: DeserializeOwned>(name: &str) -> Result<Option<T>, ()> {
    if name.is_empty() {
        return Ok(None);
    }
    serde_json::from_value(Value::String(name.to_owned())).map(Some).map_err(drop)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<Option<T>, ()> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(drop) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::{read, shown};
    use crate::domain::api::Api;

    #[test]
    fn api_form_round_trips_every_member() {
        let full: Api = serde_json::from_value(json!({
            "identifier": "https://api.example.com", "name": "Orders", "scopes": ["read", "write"],
            "self_registered_clients": true, "access_token_format": "opaque", "access_token_lifetime": 300, "gate": "orders",
            "accepts": ["bearer", "api_key", "basic", "message_signature", "session", "oauth1"],
            "origins": ["https://app.example.com", "http://localhost:3000"],
            "rules": [
                { "methods": ["GET"], "path": "/public/**", "allow": "anonymous" },
                { "methods": ["GET", "POST"], "path": "/orders/*", "scopes": ["read", "write"], "groups": ["staff", "night shift"] },
                { "methods": ["DELETE"], "path": "/", "acr": "phr" },
                { "methods": ["PUT"], "path": "/" },
            ],
            "rate_limit": { "burst": 5, "per_second": 0.5 }, "upstream_token": true,
        }))
        .unwrap();
        for api in [full.clone(), Api::new(full.identifier.clone())] {
            let blank = Api::new(api.identifier.clone());
            assert_eq!(read(&shown(&api).with_empty_row(), blank).unwrap(), api);
        }
        // `full` sets every member of an API. The error of serde lists the members: "unknown field `odd`,
        // expected one of `identifier`, …".
        let error = serde_json::from_value::<Api>(json!({ "odd": true })).unwrap_err().to_string();
        let stored = serde_json::to_value(&full).unwrap();
        let known: BTreeSet<&str> = error.split('`').skip(3).step_by(2).collect();
        assert_eq!(known, stored.as_object().unwrap().keys().map(String::as_str).collect());
    }
}
