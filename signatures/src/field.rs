//! The values of covered header fields (RFC 9421 §2.1): lines joined as they are, written anew as a structured field
//! (`sf`), one member of a dictionary (`key`), or bytes (`bs`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sfv::{Dictionary, FieldType, Item, List, ListEntry, Parser};

use crate::component::FieldEncoding;
use crate::error::{Error, Result, shortened};
use crate::request::Request;

/// The three types of RFC 9651 §3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StructuredType {
    Item,
    List,
    Dictionary,
}

impl StructuredType {
    /// Of the fields that requests have and that are defined as structured (RFC 9421 §2.1.1: it must be known).
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            // RFC 9421 §4.1, §4.2, §5.1; RFC 9530 §2 to §4; RFC 9218 §4; RFC 9213 §2.1.
            "signature" | "signature-input" | "accept-signature" => Self::Dictionary,
            "content-digest" | "repr-digest" | "want-content-digest" | "want-repr-digest" => Self::Dictionary,
            "priority" | "cdn-cache-control" => Self::Dictionary,
            // RFC 9440 §2.2, §2.3; RFC 9211 §2; RFC 9209 §2.
            "client-cert-chain" | "cache-status" | "proxy-status" => Self::List,
            "client-cert" => Self::Item,
            _ => return None,
        })
    }
}

/// The value of a covered field, ASCII and on one line.
pub(crate) fn value(request: &Request<'_>, name: &str, form: &FieldEncoding) -> Result<String> {
    let mut lines = Vec::new();
    let mut length = 0_usize;
    for line in request.lines(name) {
        length = length.saturating_add(line.len());
        if length > crate::MAX_BYTES {
            return Err(Error::TooLong(shortened(name)));
        }
        lines.push(unfold(line));
    }
    if lines.is_empty() {
        return Err(Error::Absent(shortened(name)));
    }
    if *form == FieldEncoding::Bytes {
        let written: Vec<String> = lines.iter().map(|line| format!(":{}:", STANDARD.encode(line))).collect();
        return Ok(written.join(", "));
    }
    let joined = lines.join(&b", "[..]);
    let wrong = || Error::ValueNotStructured(shortened(name));
    match form {
        FieldEncoding::Structured => {
            let of = request.type_of(name).ok_or_else(|| Error::UnknownType(shortened(name)))?;
            anew(&joined, of).ok_or_else(wrong)
        }
        FieldEncoding::Member { key, .. } => {
            let members = Parser::new(&joined).parse::<Dictionary>().map_err(|_| wrong())?;
            let member = members.into_iter().find_map(|(name, value)| (name.as_str() == key).then_some(value));
            let absent = || Error::Absent(shortened(&format!("{name};key=\"{key}\"")));
            Ok(match member.ok_or_else(absent)? {
                ListEntry::Item(item) => item.serialize(),
                list @ ListEntry::InnerList(_) => vec![list].serialize().unwrap_or_default(),
            })
        }
        FieldEncoding::Lines | FieldEncoding::Bytes => text(joined).ok_or_else(|| Error::NotAscii(shortened(name))),
    }
}

/// One line: without white space around it, and with a folding taken for one space (§2.1).
fn unfold(line: &[u8]) -> Vec<u8> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let trimmed = |out: &mut Vec<u8>| out.truncate(out.len() - out.iter().rev().take_while(|byte| blank(byte)).count());
    let mut out: Vec<u8> = Vec::with_capacity(line.len());
    let mut rest = unindented(line);
    while let Some((first, behind)) = rest.split_first() {
        let folded = behind.strip_prefix(b"\n").filter(|behind| *first == b'\r' && behind.first().is_some_and(blank));
        if let Some(behind) = folded {
            trimmed(&mut out);
            if !out.is_empty() {
                out.push(b' ');
            }
            rest = unindented(behind);
        } else {
            out.push(*first);
            rest = behind;
        }
    }
    trimmed(&mut out);
    out
}

/// Without the spaces and tabs before it.
fn unindented(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', behind @ ..] = text {
        text = behind;
    }
    text
}

/// Visible ASCII, spaces and tabs: what cannot be taken for another line of the signature base.
fn text(value: Vec<u8>) -> Option<String> {
    let good = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    if good { String::from_utf8(value).ok() } else { None }
}

/// Written by the rules of RFC 9651 §4.1; an empty list or dictionary is the empty string.
fn anew(value: &[u8], of: StructuredType) -> Option<String> {
    let parser = Parser::new(value);
    match of {
        StructuredType::Item => parser.parse::<Item>().ok().map(|item| item.serialize()),
        StructuredType::List => parser.parse::<List>().ok().map(|list| list.serialize().unwrap_or_default()),
        StructuredType::Dictionary => parser.parse::<Dictionary>().ok().map(|it| it.serialize().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::unfold;

    #[test]
    fn a_line_is_trimmed_and_a_folding_is_one_space() {
        for (line, value) in [
            ("  Leading and trailing whitespace.\t ", "Leading and trailing whitespace."),
            ("Obsolete\r\n    line folding.", "Obsolete line folding."),
            ("a \t\r\n \t b\r\n\tc", "a b c"),
            ("\r\n a", "a"),
            ("a\r\n ", "a"),
            ("a\t b", "a\t b"),
            ("", ""),
            (" \t ", ""),
            // No folding: it stays, and is refused behind.
            ("a\r\nb", "a\r\nb"),
            ("a\n b", "a\n b"),
        ] {
            assert_eq!(unfold(line.as_bytes()), value.as_bytes(), "{line:?}");
        }
    }
}
