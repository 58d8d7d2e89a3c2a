//! `Content-Digest` (RFC 9530 §2): read, made, and held against a body. sha-256 and sha-512, the two that are in use and
//! not broken (§5); a field may have others besides, which say nothing here.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sfv::BareItem;

use crate::error::{Error, Result, shortened};
use crate::request::Request;
use crate::structured::{self, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestAlgorithm {
    Sha256,
    Sha512,
}

impl DigestAlgorithm {
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// RFC 9530 §7.2.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha512 => "sha-512",
        }
    }

    fn implementation(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// One digest at least, none of an algorithm twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentDigest(Vec<(DigestAlgorithm, Vec<u8>)>);

impl ContentDigest {
    /// The field of a request; nothing where it has none.
    pub fn of(request: &Request<'_>) -> Result<Option<Self>> {
        request.joined("Content-Digest")?.as_deref().map(Self::parse).transpose()
    }

    /// The value of the field, its lines joined.
    pub fn parse(value: &[u8]) -> Result<Self> {
        let field = || "Content-Digest".to_owned();
        if value.len() > crate::MAX_BYTES {
            return Err(Error::TooLong(field()));
        }
        let members =
            structured::dictionary(value).map_err(|error| Error::NotStructured(field(), error.to_string()))?;
        let mut known = Vec::new();
        for algorithm in DigestAlgorithm::ALL {
            let mut named = members.iter().filter(|member| member.key.as_str() == algorithm.as_str());
            let Some(member) = named.next() else { continue };
            if named.next().is_some() {
                return Err(Error::RepeatedDigest(shortened(algorithm.as_str())));
            }
            match &member.value {
                Value::Item(BareItem::ByteSequence(digest))
                    if digest.len() == algorithm.implementation().output_len() =>
                {
                    known.push((algorithm, digest.clone()));
                }
                _ => return Err(Error::DigestValue(algorithm.as_str())),
            }
        }
        if known.is_empty() { Err(Error::NoKnownDigest) } else { Ok(Self(known)) }
    }

    /// Of a body.
    #[must_use]
    pub fn made(algorithm: DigestAlgorithm, body: &[u8]) -> Self {
        Self(vec![(algorithm, digest::digest(algorithm.implementation(), body).as_ref().to_vec())])
    }

    /// Every digest that is known has to fit: of two that disagree, one is a lie.
    pub fn check(&self, body: &[u8]) -> Result<()> {
        let fits = |(algorithm, expected): &(DigestAlgorithm, Vec<u8>)| {
            verify_slices_are_equal(digest::digest(algorithm.implementation(), body).as_ref(), expected).is_ok()
        };
        if self.0.iter().all(fits) { Ok(()) } else { Err(Error::DigestMismatch) }
    }
}

/// The value of the field.
impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (algorithm, digest)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}=:{}:", algorithm.as_str(), STANDARD.encode(digest))?;
        }
        Ok(())
    }
}
