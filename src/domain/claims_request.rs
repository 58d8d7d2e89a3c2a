//! The `claims` parameter (OpenID Connect Core §5.5): single claims that an app asks for, beside what its scopes say.
//!
//! Parsed once into what is done about it: names to hand out where they are known, the subject that must be the one who
//! signs in, and the authentication classes asked for. What nobody here knows is passed over (§5.5: the members are
//! voluntary unless essential, and even an essential one that is not there is no error).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::authorization::Acr;
use super::scope::{Scopes, scope_of_claim};

/// Longer ones are refused before they are parsed.
const MAX_BYTES: usize = 8 * 1024;
/// Claims in one member.
const MAX_CLAIMS: usize = 100;

/// The claims to hand out, by where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedClaims {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub userinfo: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub id_token: Vec<String>,
}

impl RequestedClaims {
    /// Those that `scopes` would have said anyway, or could have been asked to.
    #[must_use]
    pub fn restricted_to(self, allowed: &Scopes) -> Self {
        let keep = |names: Vec<String>| -> Vec<String> {
            names.into_iter().filter(|name| scope_of_claim(name).is_some_and(|scope| allowed.contains(scope))).collect()
        };
        Self { userinfo: keep(self.userinfo), id_token: keep(self.id_token) }
    }

    /// The scopes that say them: what a person has to allow.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        self.userinfo.iter().chain(&self.id_token).filter_map(|name| scope_of_claim(name)).collect()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }
}

/// The authentication context classes asked for, in order of preference; unknown ones have been left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedAcr {
    pub values: Vec<Acr>,
    /// Nothing else will do (OpenID Connect Core §5.5.1.1); without it another class is told as what it is.
    pub essential: bool,
}

impl RequestedAcr {
    /// Voluntary ones, as `acr_values` lists them.
    #[must_use]
    pub fn from_acr_values(text: &str) -> Self {
        Self { values: text.split(' ').filter_map(Acr::parse).collect(), essential: false }
    }

    /// The class to tell of somebody who reached `reached`: the first one asked for that they meet.
    #[must_use]
    pub fn satisfied_by(&self, reached: Acr) -> Option<Acr> {
        self.values.iter().copied().find(|asked| *asked <= reached)
    }
}

/// What the parameter comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimsRequest {
    pub claims: RequestedClaims,
    /// The person that must be the one who signs in (§5.5.1, `sub` with a value).
    pub sub: Option<String>,
    pub acr: Option<RequestedAcr>,
}

impl ClaimsRequest {
    /// # Errors
    /// A sentence that says what is wrong.
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

/// A member's claims, each `null` or an object (§5.5.1).
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

/// The one that the person must be: what both members ask for, where they ask. Several names for one person are of no
/// use, and two who disagree would let everybody or nobody through.
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

/// §5.5.1: `value`, `values`, or both; what is neither is a wish that would be lost.
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

/// §5.5.1.1.
fn acr(claim: &Value) -> Result<RequestedAcr, &'static str> {
    let values = values(claim)?;
    let essential = match claim.get("essential") {
        None => false,
        Some(essential) => essential.as_bool().ok_or("An essential in claims is neither true nor false.")?,
    };
    // An essential `acr` that names no class is answered by whichever it is.
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
            // What would be lost if it were passed over.
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
