//! The `claims` parameter (OpenID Connect Core §5.5): individual claims that a client requests beside its scopes.
//!
//! The parser extracts the claims to return, the required subject (`sub`) and the requested authentication context
//! classes. Unknown claims are ignored: §5.5 makes members voluntary unless essential, and even a missing essential
//! claim is not an error.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::authorization::Acr;
use super::scope::{Scopes, scope_of_claim};

/// Longer values are rejected before they are parsed.
const MAX_BYTES: usize = 8 * 1024;
/// The maximum number of claims in one member.
const MAX_CLAIMS: usize = 100;

/// The claims to return, by where they are returned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedClaims {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub userinfo: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub id_token: Vec<String>,
}

impl RequestedClaims {
    /// Returns the claims that belong to one of the `allowed` scopes.
    #[must_use]
    pub fn restricted_to(self, allowed: &Scopes) -> Self {
        let keep = |names: Vec<String>| -> Vec<String> {
            names.into_iter().filter(|name| scope_of_claim(name).is_some_and(|scope| allowed.contains(scope))).collect()
        };
        Self { userinfo: keep(self.userinfo), id_token: keep(self.id_token) }
    }

    /// Returns the scopes that these claims belong to, which the user has to allow.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        self.userinfo.iter().chain(&self.id_token).filter_map(|name| scope_of_claim(name)).collect()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }
}

/// The requested authentication context classes, in order of preference, without unknown ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedAcr {
    pub values: Vec<Acr>,
    /// Whether only these classes are accepted (OpenID Connect Core §5.5.1.1). If not, the `acr` claim names the class
    /// that was reached.
    pub essential: bool,
}

impl RequestedAcr {
    /// Parses `acr_values`, whose classes are voluntary.
    #[must_use]
    pub fn from_acr_values(text: &str) -> Self {
        Self { values: text.split(' ').filter_map(Acr::parse).collect(), essential: false }
    }

    /// Returns the first requested class that a sign-in of class `reached` satisfies.
    #[must_use]
    pub fn satisfied_by(&self, reached: Acr) -> Option<Acr> {
        self.values.iter().copied().find(|asked| *asked <= reached)
    }
}

/// A parsed `claims` parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimsRequest {
    pub claims: RequestedClaims,
    /// The user that has to sign in (§5.5.1, `sub` with a value).
    pub sub: Option<String>,
    pub acr: Option<RequestedAcr>,
}

impl ClaimsRequest {
    /// Parses the value of `claims`.
    ///
    /// # Errors
    /// Returns a sentence that describes the problem.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_BYTES {
            return Err("claims is too long.");
        }
        let all: Map<String, Value> = serde_json::from_str(text).map_err(|_| "claims is not a JSON object.")?;
        let userinfo = member(&all, "userinfo")?;
        let id_token = member(&all, "id_token")?;
        Ok(Self {
            sub: required_sub(&id_token, &userinfo)?,
            acr: id_token.get("acr").map(acr).transpose()?,
            claims: RequestedClaims { userinfo: names(&userinfo), id_token: names(&id_token) },
        })
    }
}

/// Returns the claims of a member, each `null` or an object (§5.5.1).
fn member(all: &Map<String, Value>, name: &str) -> Result<Map<String, Value>, &'static str> {
    let claims = match all.get(name) {
        None | Some(Value::Null) => return Ok(Map::new()),
        Some(Value::Object(claims)) => claims,
        Some(_) => return Err("A member of claims is not an object."),
    };
    if claims.len() > MAX_CLAIMS {
        return Err("claims asks for too many claims.");
    }
    if claims.values().any(|claim| !claim.is_null() && !claim.is_object()) {
        return Err("A claim in claims is neither null nor an object.");
    }
    Ok(claims.clone())
}

fn names(claims: &Map<String, Value>) -> Vec<String> {
    let mut names: Vec<_> =
        claims.keys().filter(|name| !matches!(name.as_str(), "sub" | "acr" | "auth_time")).collect();
    names.sort_unstable();
    names.into_iter().cloned().collect()
}

/// Returns the user that has to sign in, according to both members. Several values in one `sub` are an error, because
/// they are of no use. So are two members that disagree, because either choice would ignore one of them.
fn required_sub(id_token: &Map<String, Value>, userinfo: &Map<String, Value>) -> Result<Option<String>, &'static str> {
    let mut only = None;
    for claim in [id_token, userinfo].into_iter().filter_map(|member| member.get("sub")) {
        let values = values(claim)?;
        let one = match values.as_slice() {
            [] => continue,
            [one] => *one,
            _ => return Err("A sub in claims has several values."),
        };
        if only.is_some_and(|known| known != one) {
            return Err("The two sub in claims have different values.");
        }
        only = Some(one);
    }
    Ok(only.map(ToOwned::to_owned))
}

/// Returns the strings in `value` and `values` (§5.5.1). Other types are an error, because ignoring them would drop the
/// restriction.
fn values(claim: &Value) -> Result<Vec<&str>, &'static str> {
    let text = |value: &'_ Value| value.as_str().is_some();
    match (claim.get("value"), claim.get("values")) {
        (Some(value), _) if !text(value) => Err("A value in claims is no text."),
        (_, Some(values)) if !values.as_array().is_some_and(|values| values.iter().all(text)) => {
            Err("The values in claims are no list of texts.")
        }
        (value, values) => {
            let listed = values.and_then(Value::as_array).into_iter().flatten();
            Ok(value.into_iter().chain(listed).filter_map(Value::as_str).collect())
        }
    }
}

/// Parses the `acr` claim (§5.5.1.1).
fn acr(claim: &Value) -> Result<RequestedAcr, &'static str> {
    let values = values(claim)?;
    let essential = match claim.get("essential") {
        None => false,
        Some(essential) => essential.as_bool().ok_or("An essential in claims is neither true nor false.")?,
    };
    // Any class satisfies an essential `acr` that names no class.
    let essential = essential && !values.is_empty();
    Ok(RequestedAcr { values: values.into_iter().filter_map(Acr::parse).collect(), essential })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ClaimsRequest, RequestedAcr};
    use crate::domain::authorization::Acr;

    #[test]
    fn claims_request_is_parsed() {
        let text = r#"{"userinfo": {"name": null, "email": {"essential": true}, "sub": {"value": "x"}},
            "id_token": {"auth_time": {"essential": true}, "acr": {"essential": true, "values": ["phr", "gold"]},
                         "nickname": {"value": "al"}}, "other": 1}"#;
        let parsed = ClaimsRequest::parse(text).unwrap();
        assert_eq!(parsed.claims.userinfo, ["email", "name"]);
        assert_eq!(parsed.claims.id_token, ["nickname"]);
        assert_eq!(parsed.sub.as_deref(), Some("x"));
        assert_eq!(parsed.acr, Some(RequestedAcr { values: vec![Acr::PhishingResistant], essential: true }));
    }

    #[test]
    fn malformed_claims_request_is_rejected() {
        let many = format!(
            r#"{{"userinfo": {{{}}}}}"#,
            (0..101).map(|n| format!("\"c{n}\": null")).collect::<Vec<_>>().join(",")
        );
        let deep = format!(r#"{{"userinfo": {{"a": {{"value": {}{}}}}}}}"#, "[".repeat(2000), "]".repeat(2000));
        for bad in [
            "",
            "null",
            "[]",
            "1",
            "{",
            r#"{"userinfo": []}"#,
            r#"{"id_token": {"a": 1}}"#,
            r#"{"id_token": {"a": "essential"}}"#,
            // Ignoring these would drop a restriction.
            r#"{"id_token": {"sub": {"value": 123}}}"#,
            r#"{"id_token": {"sub": {"values": ["a", "b"]}}}"#,
            r#"{"id_token": {"sub": {"value": "a"}}, "userinfo": {"sub": {"value": "b"}}}"#,
            r#"{"id_token": {"acr": {"essential": true, "values": "phr"}}}"#,
            r#"{"id_token": {"acr": {"essential": true, "value": 5}}}"#,
            r#"{"id_token": {"acr": {"essential": "true", "values": ["gold"]}}}"#,
            &many,
            &deep,
            &format!("{{\"x\": \"{}\"}}", "x".repeat(9000)),
        ] {
            assert!(ClaimsRequest::parse(bad).is_err(), "{bad:.60}");
        }
        assert_eq!(ClaimsRequest::parse("{}").unwrap(), ClaimsRequest::default());
        let one = ClaimsRequest::parse(r#"{"id_token": {"sub": {"values": ["a"]}}, "userinfo": {"sub": null}}"#);
        assert_eq!(one.unwrap().sub.as_deref(), Some("a"));
    }

    #[test]
    fn stronger_sign_in_satisfies_weaker_acr() {
        let asked = |values: &[Acr]| RequestedAcr { values: values.to_vec(), essential: true };
        for (values, reached, told) in [
            (&[Acr::Password][..], Acr::Password, Some(Acr::Password)),
            (&[Acr::Password], Acr::PhishingResistant, Some(Acr::Password)),
            (&[Acr::PhishingResistant], Acr::Password, None),
            (&[Acr::PhishingResistant, Acr::Password], Acr::Password, Some(Acr::Password)),
            (&[Acr::PhishingResistant, Acr::Password], Acr::PhishingResistant, Some(Acr::PhishingResistant)),
            (&[], Acr::PhishingResistant, None),
        ] {
            assert_eq!(asked(values).satisfied_by(reached), told, "{values:?} {reached:?}");
        }
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in ".{0,200}") {
            ClaimsRequest::parse(&text).ok();
        }
    }
}
