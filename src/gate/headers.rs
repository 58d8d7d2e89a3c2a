//! The header fields of a gate request as the proxy sent them. Fields of the same name keep their order (RFC 9110
//! §5.3).

/// The header fields. Names are lower case.
#[derive(Debug, Default)]
pub struct Headers<'a>(pub Vec<(&'a str, &'a [u8])>);

/// A single-valued field is repeated, or its value is not ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderError;

impl<'a> Headers<'a> {
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.0.iter().filter(move |(known, _)| *known == name).map(|(_, value)| *value)
    }

    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Returns the value of a single-valued field, if present. A repeated field is an error, because different readers
    /// could pick different values.
    pub fn once(&self, name: &str) -> Result<Option<&'a str>, HeaderError> {
        let mut all = self.all(name);
        let first = all.next();
        if all.next().is_some() {
            return Err(HeaderError);
        }
        let text = first.map(std::str::from_utf8).transpose().map_err(|_| HeaderError)?;
        match text {
            Some(text) if !text.is_ascii() || text.bytes().any(|byte| byte.is_ascii_control()) => Err(HeaderError),
            text => Ok(text),
        }
    }
}
