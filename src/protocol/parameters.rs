//! Parsed request parameters (RFC 6749 §3.1, §3.2): an empty parameter is treated as absent, a repeated one is an
//! error, an unknown one is ignored. Only `resource` and `audience` may be repeated (RFC 8707 §2, RFC 8693 §2.1).

use std::collections::HashSet;

use super::error::{ErrorCode, OAuthError, Result};

/// The maximum number of parameters in a request. `web` limits the size of the body.
const MAX_PARAMETERS: usize = 200;

#[derive(Clone, Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Parses `application/x-www-form-urlencoded`.
    ///
    /// Percent-encoded bytes that are not UTF-8 are an error: with replacement characters, two different values would
    /// become equal.
    pub fn parse(encoded: &[u8]) -> Result<Self> {
        Self::parse_at_most(MAX_PARAMETERS, encoded)
    }

    /// Parses with another limit: forms of this server may contain long lists.
    pub fn parse_at_most(most: usize, encoded: &[u8]) -> Result<Self> {
        let invalid = |what: &'static str| OAuthError::new(ErrorCode::InvalidRequest, what);
        let text = std::str::from_utf8(encoded).map_err(|_| invalid("The request is not UTF-8."))?;
        let mut pairs = Vec::new();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
                return Err(invalid("A parameter is not UTF-8."));
            }
            if value.contains('\0') {
                return Err(invalid("A parameter has a NUL character."));
            }
            if pairs.len() == most {
                return Err(invalid("The request has too many parameters."));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// Applies the same rules to parameters that were not sent as a form.
    pub fn of(pairs: Vec<(String, String)>) -> Result<Self> {
        let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Self::parse(encoded.as_bytes())
    }

    /// Returns the parameters, with those that `inside` contains replaced.
    #[must_use]
    pub fn overridden_by(&self, inside: &Self) -> Self {
        let kept = self.0.iter().filter(|(name, _)| !inside.has(name));
        Self(kept.chain(&inside.0).cloned().collect())
    }

    /// Returns the parameters with `name` set to `value`, replacing all its values.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        self.overridden_by(&Self(vec![(name.to_owned(), value.to_owned())]))
    }

    /// Returns the parameters without `names`.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        Self(self.0.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().collect())
    }

    /// Returns the parameters whose names satisfy `keep`.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }

    /// Returns the value of a parameter that must not be repeated.
    pub fn one(&self, name: &str) -> Result<Option<&str>> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(OAuthError::new(ErrorCode::InvalidRequest, format!("The parameter {name} is repeated.")));
        }
        Ok(first)
    }

    /// Returns the value of `scope`. A value of spaces contains no scope and is treated as absent.
    pub fn scope(&self) -> Result<Option<&str>> {
        Ok(self.one("scope")?.filter(|value| value.bytes().any(|byte| byte != b' ')))
    }

    /// Returns the value of a parameter that is required and must not be repeated.
    pub fn required(&self, name: &str) -> Result<&str> {
        self.one(name)?
            .ok_or_else(|| OAuthError::new(ErrorCode::InvalidRequest, format!("The parameter {name} is missing.")))
    }

    /// Returns every value of a parameter that may be repeated.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, value)| n == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Returns every parameter in order, including empty ones.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns whether a parameter was sent, even empty: browsers send the empty fields of a form too.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Returns the parameters, encoded again.
    pub fn encoded(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// Returns an error if any parameter is repeated (RFC 6749 §3.1), even an unknown one.
    pub fn check_repetition(&self) -> Result<()> {
        self.check_repetition_except(&["resource", "audience"])
    }

    /// Returns an error if any parameter not in `lists` is repeated.
    pub fn check_repetition_except(&self, lists: &[&str]) -> Result<()> {
        let mut seen = HashSet::new();
        let mut names = self.0.iter().map(|(name, _)| name.as_str()).filter(|name| !lists.contains(name));
        if names.all(|name| seen.insert(name)) {
            return Ok(());
        }
        Err(OAuthError::new(ErrorCode::InvalidRequest, "A parameter is repeated."))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Parameters;

    #[test]
    fn empty_parameter_is_absent_repeated_is_refused() {
        let parameters = Parameters::parse(b"a=1&b=&c=2&c=3&resource=x&resource=y").unwrap();
        assert_eq!(parameters.one("a").unwrap(), Some("1"));
        assert_eq!(parameters.one("b").unwrap(), None);
        assert!(parameters.required("b").is_err() && parameters.one("c").is_err());
        assert!(parameters.check_repetition().is_err());
        assert!(parameters.check_repetition_except(&["c", "resource"]).is_ok());
        assert_eq!(parameters.all("resource").collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn parameter_that_is_not_text_is_refused() {
        for bad in [b"a=%ff".as_slice(), b"%c3=1", b"a=\xff", b"a=%00", b"a=%ed%a0%80"] {
            assert!(Parameters::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Parameters::parse("a&".repeat(201).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn parsed_parameters_encode_back(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(parsed) = Parameters::parse(&bytes) {
                let again = Parameters::parse(parsed.encoded().as_bytes()).unwrap();
                prop_assert_eq!(parsed.0, again.0);
            }
        }
    }
}
