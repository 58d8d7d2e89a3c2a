//! One parameter of the query (RFC 9421 §2.2.8): decoded as a form (application/x-www-form-urlencoded) and encoded
//! again, so that two spellings of a value are one. Its name is given in the encoded form.

use crate::error::{Error, Result, shortened};

/// The value of the parameter that is called `name` when encoded.
pub(crate) fn value(query: &str, name: &str) -> Result<String> {
    let quoted = || shortened(&format!("@query-param;name=\"{name}\""));
    let mut found = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if encoded(&decoded(key)?) == name && found.replace(value).is_some() {
            return Err(Error::RepeatedInQuery(quoted()));
        }
    }
    Ok(encoded(&decoded(found.ok_or_else(|| Error::Absent(quoted()))?)?))
}

/// What the form parser makes of it. It would replace what is not UTF-8, and make different queries alike: refused.
fn decoded(text: &str) -> Result<String> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match (*first, digit(behind.first()), digit(behind.get(1))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = behind.get(2..).unwrap_or_default();
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
    }
    String::from_utf8(out).map_err(|_| Error::QueryEncoding)
}

/// By the percent-encode set of the form serializer, with `%20` for a space.
fn encoded(text: &str) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default().to_ascii_uppercase();
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::value;
    use crate::Error;

    /// The examples of §2.2.8.
    #[test]
    fn value_encoding_is_canonical() {
        let query = "param=value&foo=bar&baz=batman&qux=";
        for (name, expected) in [("baz", "batman"), ("qux", ""), ("param", "value")] {
            assert_eq!(value(query, name).as_deref(), Ok(expected));
        }
        let query =
            "var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something";
        for (name, expected) in [
            ("var", "this%20is%20a%20big%0Amultiline%20value"),
            ("bar", "with%20plus%20whitespace"),
            ("fa%C3%A7ade%22%3A%20", "something"),
        ] {
            assert_eq!(value(query, name).as_deref(), Ok(expected));
        }
        assert_eq!(value("a=%7e~%2a*%zz%", "a").as_deref(), Ok("%7E%7E**%25zz%25"));
        assert_eq!(value("a&b", "a").as_deref(), Ok(""));
    }

    #[test]
    fn absent_and_repeated_parameters_are_rejected() {
        assert!(matches!(value("a=1&b=2", "c"), Err(Error::Absent(_))));
        assert!(matches!(value("", "a"), Err(Error::Absent(_))));
        assert!(matches!(value("a=1&%61=2", "a"), Err(Error::RepeatedInQuery(_))));
        assert!(matches!(value("%61=1", "%61"), Err(Error::Absent(_))));
        assert_eq!(value("a=%ff", "a"), Err(Error::QueryEncoding));
        assert_eq!(value("%ff=1&a=2", "a"), Err(Error::QueryEncoding));
    }
}
