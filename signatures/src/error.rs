//! What is wrong with a signature or a digest, each with the section that says so. Two kinds: what cannot be read
//! ([`Kind::Malformed`], HTTP 400), and what can be read and proves nothing ([`Kind::Unverified`], HTTP 401).
//!
//! The sentences are for the caller. They name what he sent, shortened, and nothing of a key: whether a signature, a
//! secret or a key was nearly right cannot be told from them.

use thiserror::Error;

pub type Result<T> = std::result::Result<T, Error>;

/// How a refusal is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// 400: nobody can tell what was meant.
    Malformed,
    /// 401: it is clear what was meant, and it is not shown.
    Unverified,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    // The request itself.
    /// RFC 9110 §9.1.
    #[error("the method is no token")]
    Method,
    /// RFC 9421 §2.2.2, RFC 9110 §7.1.
    #[error("the target URI has to be scheme, authority, path and query in visible ASCII, without user or fragment")]
    Target,
    /// RFC 9110 §5.1.
    #[error("a header field has a name that is no token")]
    FieldName,

    // The fields Signature-Input and Signature.
    /// RFC 9421 §4.
    #[error("{0} is longer than 16 KiB")]
    TooLong(String),
    /// RFC 9421 §4.1, §4.2; RFC 9651 §4.2.
    #[error("{0} is no structured field of its type (RFC 9651): {1}")]
    NotStructured(String, String),
    /// RFC 9421 §4.
    #[error("there are more than 32 signatures")]
    TooManySignatures,
    /// RFC 9421 §4.1.
    #[error("the label {0} stands twice in {1}")]
    RepeatedLabel(String, &'static str),
    /// RFC 9421 §4: one without the other.
    #[error("the label {0} stands in one of Signature-Input and Signature only")]
    Unmatched(String),
    /// RFC 9421 §4.1.
    #[error("the member {0} of Signature-Input is no list of components in parentheses")]
    NotComponents(String),
    /// RFC 9421 §4.2.
    #[error("the member {0} of Signature is no byte sequence between colons")]
    NotBytes(String),
    /// RFC 9421 §2.3.
    #[error("the parameter {0} stands twice")]
    RepeatedParameter(String),
    /// RFC 9421 §2.3.
    #[error("the parameter {0} has a value of another type than it should")]
    ParameterType(String),

    // Covered components.
    /// RFC 9421 §2.5.
    #[error("more than 64 components are covered")]
    TooManyComponents,
    /// RFC 9421 §2, §2.5.
    #[error("the component {0} is covered twice")]
    RepeatedComponent(String),
    /// RFC 9421 §2, §2.1.
    #[error(
        "a covered component has to be a string: the name of a header field in lower case, or one that begins with @"
    )]
    ComponentName,
    /// RFC 9421 §2.2.
    #[error("there is no component {0} of a request")]
    UnknownComponent(String),
    /// RFC 9421 §2.5.
    #[error("the component {0} has a parameter that it does not take, or lacks one that it needs")]
    ComponentParameters(String),
    /// RFC 9421 §2.1.3, §2.5.
    #[error("the component {0} has bs together with sf or key")]
    ConflictingParameters(String),
    /// RFC 9421 §2.2.9, §2.4.
    #[error("{0} is of responses: it cannot be covered in the signature of a request")]
    OfResponses(String),
    /// RFC 9421 §2.1.4.
    #[error("the trailer field {0} cannot be covered here: trailers come after the request was judged")]
    OfTrailers(String),

    // The values of components in this request.
    /// RFC 9421 §2.5.
    #[error("the covered component {0} is not in the request")]
    Absent(String),
    /// RFC 9421 §2.2.8.
    #[error("the query parameter of {0} stands more than once in the query")]
    RepeatedInQuery(String),
    /// RFC 9421 §2.2.8: its decoding would make different queries alike.
    #[error("the query is not UTF-8 where it is decoded, so its parameters cannot be covered one by one")]
    QueryEncoding,
    /// RFC 9421 §2.5.
    #[error("the value of {0} is not ASCII or has control characters: cover it with the parameter bs")]
    NotAscii(String),
    /// RFC 9421 §2.1.1.
    #[error("{0} is covered with sf, and it is not known of which structured type it is")]
    UnknownType(String),
    /// RFC 9421 §2.1.1, §2.1.2.
    #[error("the value of {0} is no structured field of its type")]
    ValueNotStructured(String),
    /// RFC 9421 §2.5.
    #[error("what is covered is longer than 128 KiB")]
    BaseTooLong,

    // What has to be there, and when.
    /// RFC 9421 §1.4, §3.2.
    #[error("the signature needs the parameter {0}")]
    Needs(&'static str),
    /// RFC 9421 §1.4, §3.2, §7.2.1.
    #[error("the signature has to cover {0}")]
    ComponentNotCovered(&'static str),
    /// RFC 9421 §7.2.2.
    #[error("nonce has to be 1 to 128 visible ASCII characters")]
    Nonce,
    /// RFC 9421 §2.3.
    #[error("created is too far from the present time")]
    Stale,
    /// RFC 9421 §2.3.
    #[error("expires is before created")]
    ExpiresFirst,
    /// RFC 9421 §2.3.
    #[error("expires has passed")]
    Expired,

    // The proof.
    /// RFC 9421 §3.2, §3.3.7: the algorithm is the key's.
    #[error("the signature does not verify")]
    NotVerified,
    /// RFC 9421 §3.2 step 6.
    #[error("alg is not the algorithm that this key is registered for")]
    Algorithm,
    /// RFC 9421 §4.
    #[error("there are several signatures: send one")]
    Several,

    // Content-Digest.
    /// RFC 9530 §2.
    #[error("Content-Digest has the algorithm {0} twice")]
    RepeatedDigest(String),
    /// RFC 9530 §2, §5.
    #[error("Content-Digest has no value of sha-256 or sha-512")]
    NoKnownDigest,
    /// RFC 9530 §2, §5.
    #[error("the value of {0} in Content-Digest is no byte sequence of that algorithm's length")]
    DigestValue(&'static str),
    /// RFC 9530 §2.
    #[error("the body is not the one that Content-Digest was made of")]
    DigestMismatch,

    // Signing.
    /// RFC 9651 §3.1.2, §3.3: a label, or the text of a parameter.
    #[error("{0} has characters that it may not have")]
    Characters(&'static str),
    /// RFC 9421 §3.1 step 4.
    #[error("the key did not sign")]
    NotSigned,
}

impl Error {
    /// 400 or 401. A digest that does not fit is 400: the message contradicts itself, whoever sent it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Absent(_)
            | Self::RepeatedInQuery(_)
            | Self::QueryEncoding
            | Self::NotAscii(_)
            | Self::UnknownType(_)
            | Self::ValueNotStructured(_)
            | Self::BaseTooLong
            | Self::Needs(_)
            | Self::ComponentNotCovered(_)
            | Self::Nonce
            | Self::Stale
            | Self::ExpiresFirst
            | Self::Expired
            | Self::NotVerified
            | Self::Algorithm
            | Self::NotSigned => ErrorKind::Unverified,
            _ => ErrorKind::Malformed,
        }
    }
}

/// The beginning of something that a stranger sent, for a sentence.
pub(crate) fn shortened(text: &str) -> String {
    const MAX_SHOWN: usize = 64;
    let visible = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let mut short: String = text.chars().take(MAX_SHOWN).map(visible).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::{Error, ErrorKind, shortened};

    #[test]
    fn quoted_input_is_escaped_and_truncated() {
        assert_eq!(shortened("sig1"), "sig1");
        assert_eq!(shortened("a\r\nb"), "a??b");
        assert_eq!(shortened(&"x".repeat(10_000)).len(), 67);
    }

    #[test]
    fn malformed_is_400_and_unverified_is_401() {
        for malformed in [Error::RepeatedParameter("keyid".into()), Error::TooManySignatures, Error::DigestMismatch] {
            assert_eq!(malformed.kind(), ErrorKind::Malformed);
        }
        for unproven in [Error::NotVerified, Error::Stale, Error::Needs("nonce"), Error::Absent("date".into())] {
            assert_eq!(unproven.kind(), ErrorKind::Unverified);
        }
    }
}
