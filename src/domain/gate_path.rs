//! Decoded paths at the gate: which ones are unambiguous, so that every program behind the gate reads them in the same
//! way (RFC 3986 §3.3, §6.2.2), and the patterns in rules, which are written decoded, too: `/my files/**`, `/straße/*`.
//!
//! See also [`super::gate`], the rules with these patterns, and `gate::path`, which decodes the path of a request.

use serde::{Deserialize, Serialize};

/// Checks that a decoded path is unambiguous.
///
/// # Errors
/// Returns what could be read in two ways.
pub fn plain(path: &str) -> Result<(), &'static str> {
    if path.chars().any(char::is_control) || path.contains('\u{fffd}') {
        return Err("has a control character, or bytes that are no characters");
    }
    if path.contains(['\\', ';']) {
        return Err("has a backslash or a semicolon");
    }
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if matches!(segment, "." | "..") {
            return Err("has a segment of dots");
        }
        if segment.is_empty() && segments.peek().is_some() {
            return Err("has an empty segment");
        }
    }
    Ok(())
}

/// A pattern of whole path segments: `*` matches one segment, `**` any number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern(String);

impl PathPattern {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PathPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = |why: &str| Err(format!("the path {text:?} {why}"));
        if !text.starts_with('/') {
            return wrong("must begin with /");
        }
        if text.len() > 500 {
            return wrong("is longer than 500 bytes");
        }
        if text.contains(['?', '#']) {
            return wrong("has ? or #: a rule is for the path alone, without what follows it in an address");
        }
        if has_percent_encoding(&text) {
            return wrong("is encoded: it is written as people read it, such as /my files for /my%20files");
        }
        // Forms and editors trim trailing spaces, which would change the rule.
        if text.ends_with(char::is_whitespace) {
            return wrong("ends with a space");
        }
        if let Err(why) = plain(&text) {
            return wrong(&format!("{why}: the gate lets no such path through"));
        }
        if text.split('/').any(|segment| segment.contains('*') && !matches!(segment, "*" | "**")) {
            return wrong("has * in a segment: it stands for a whole one");
        }
        Ok(Self(text))
    }
}

impl From<PathPattern> for String {
    fn from(path: PathPattern) -> Self {
        path.0
    }
}

/// Returns whether the text contains `%XX`. Read literally, such a pattern would match little but paths that were
/// encoded twice. Its author probably meant the encoded character.
fn has_percent_encoding(text: &str) -> bool {
    text.split('%').skip(1).any(|after| after.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2)
}

#[cfg(test)]
mod tests {
    use super::PathPattern;

    #[test]
    fn path_patterns_are_decoded_and_unambiguous() {
        for good in [
            "/",
            "/**",
            "/orders",
            "/orders/",
            "/orders/*/lines",
            "/public/**",
            "/a.b/~c",
            "/...",
            "/my files/**",
            "/straße/*",
            "/日本",
            "/100%",
            "/50% off/*",
            "/%",
            "/%zz",
            "/%é",
            "/a+b@c:d,e!$&'()=~|<>\"{}^`",
        ] {
            assert!(PathPattern::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for (bad, says) in [
            ("", "begin with /"),
            ("orders", "begin with /"),
            ("*", "begin with /"),
            (" /a", "begin with /"),
            ("//", "empty segment"),
            ("/a//b", "empty segment"),
            ("/a//", "empty segment"),
            ("/a/../b", "dots"),
            ("/a/.", "dots"),
            ("/..", "dots"),
            ("/a?b", "for the path alone"),
            ("/a#b", "for the path alone"),
            ("/a%2fb", "as people read it"),
            ("/my%20files", "as people read it"),
            ("/%C3%9F", "as people read it"),
            ("/%%41", "as people read it"),
            ("/a;b", "semicolon"),
            ("/a\\b", "backslash"),
            ("/a\0", "control character"),
            ("/a\tb", "control character"),
            ("/a\u{85}b", "control character"),
            ("/a\u{7f}", "control character"),
            ("/\u{fffd}", "no characters"),
            ("/a ", "ends with a space"),
            ("/a\u{a0}", "ends with a space"),
            ("/a*", "whole one"),
            ("/***", "whole one"),
        ] {
            let said = PathPattern::try_from(bad.to_owned()).unwrap_err();
            assert!(said.contains(says), "{bad:?}: {said}");
        }
        assert!(PathPattern::try_from(format!("/{}", "ä".repeat(249))).is_ok());
        assert!(PathPattern::try_from(format!("/{}", "ä".repeat(250))).unwrap_err().contains("500 bytes"));
    }
}
