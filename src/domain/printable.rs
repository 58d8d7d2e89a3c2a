//! Makes text from external parties visible for logs, terminals and lists: it cannot end a line, hide, or reorder the
//! text around it.
//!
//! All sinks share this module: `cli::log` (the log), `cli` (output of commands) and the lists of the console.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns whether a character is not displayed as itself: controls (C0, DEL, C1), bidirectional formatting (UAX #9
/// §2), line and paragraph separators, and zero-width characters.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Bidirectional: marks, embeddings and overrides, isolates.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}'
            // Zero-width: spaces, joiners, fillers, deprecated format characters, annotations, tags.
            | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns the text with each hidden character as `\u{…}`.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    replaced(text, is_hidden, |out, c| out.extend(c.escape_unicode()))
}

/// Returns text of several lines with each hidden character as `\u{…}`, except line ends.
#[must_use]
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    replaced(text, |c| c != '\n' && is_hidden(c), |out, c| out.extend(c.escape_unicode()))
}

/// Returns JSON text with each hidden character in its strings as `\u…` (RFC 8259 §7), which does not change its value.
/// Line ends outside of strings stay.
#[must_use]
pub fn escaped_json(json: &str) -> Cow<'_, str> {
    // In JSON, control characters are allowed only outside of strings.
    let is_hidden = |c: char| !matches!(c, '\n' | '\r' | '\t') && is_hidden(c);
    replaced(json, is_hidden, |out, c| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            write!(out, "\\u{unit:04x}").unwrap_or_default();
        }
    })
}

/// Returns the text without a leading byte order mark, which some editors write. RFC 8259 §8.1 allows JSON parsers to
/// ignore it.
#[must_use]
pub fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Returns unvalidated UTF-8 without a leading byte order mark.
#[must_use]
pub fn bytes_without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

fn replaced(text: &str, hidden: impl Fn(char) -> bool, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) { escape(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIDDEN: &str =
        "a\0\n\u{1b}[2J\u{7f}\u{85}\u{9b}\u{61c}\u{200b}\u{200e}\u{202e}\u{2028}\u{2029}\u{2069}\u{feff}b";

    #[test]
    fn hidden_characters_are_shown_as_escapes() {
        assert_eq!(
            escaped(HIDDEN),
            "a\\u{0}\\u{a}\\u{1b}[2J\\u{7f}\\u{85}\\u{9b}\\u{61c}\\u{200b}\\u{200e}\\u{202e}\\u{2028}\\u{2029}\\u{2069}\
             \\u{feff}b"
        );
        assert_eq!(escaped_lines("a\nb\r\u{202e}"), "a\nb\\u{d}\\u{202e}");
        for plain in ["Zoë Müller", "日本語", "שלום", "a  b\u{a0}c", "🙂"] {
            assert!(matches!(escaped(plain), Cow::Borrowed(text) if text == plain), "{plain}");
        }
    }

    #[test]
    fn escaped_json_means_the_same() {
        let value = serde_json::json!({ "text": format!("{HIDDEN}\u{e0041}") });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = escaped_json(&text);
        assert!(!shown.chars().any(|c| c != '\n' && is_hidden(c)), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
