//! What a signature has to say and to cover before anybody looks at its proof (RFC 9421 §3.2: "requirements of the
//! application"): `created`, `nonce` and `keyid`, made now, over the method, the target and the digest of the body.

use crate::error::{Error, Result};
use crate::key::VerifyingKey;
use crate::request::Request;
use crate::signatures::Signature;

/// Bytes of a nonce.
const NONCE_LENGTH: std::ops::RangeInclusive<usize> = 1..=128;

#[derive(Clone, Copy, Debug)]
pub struct Policy {
    window: i64,
}

/// A signature that says and covers what it has to. Whether it is true is seen by [`Checked::verify`].
#[derive(Clone, Copy, Debug)]
pub struct Checked<'a> {
    signature: &'a Signature,
    keyid: &'a str,
    nonce: &'a str,
    good_until: i64,
}

impl Default for Policy {
    /// Five minutes either way.
    fn default() -> Self {
        Self::within(300)
    }
}

impl Policy {
    /// Seconds by which `created` may differ from the present time, either way.
    #[must_use]
    pub const fn within(window: u32) -> Self {
        Self { window: window as i64 }
    }

    /// The components that have to be covered for that request, in the order in which a signer may cover them.
    #[must_use]
    pub fn components(request: &Request<'_>) -> Vec<&'static str> {
        let mut needed = vec!["@method", "@target-uri"];
        // Of the empty body, too: otherwise a body could be put in where there was none.
        if matches!(request.method(), "POST" | "PUT" | "PATCH") || request.has("content-digest") {
            needed.push("content-digest");
        }
        needed
    }

    /// `now` in seconds since 1970. The nonce is only read here: it is taken, once, after the proof.
    pub fn check<'a>(&self, signature: &'a Signature, request: &Request<'_>, now: i64) -> Result<Checked<'a>> {
        let parameters = signature.input().parameters();
        let created = parameters.created.ok_or(Error::Needs("created"))?;
        let nonce = parameters.nonce.as_deref().ok_or(Error::Needs("nonce"))?;
        let keyid = parameters.keyid.as_deref().ok_or(Error::Needs("keyid"))?;
        if !NONCE_LENGTH.contains(&nonce.len()) || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Nonce);
        }
        if parameters.expires.is_some_and(|expires| expires < created) {
            return Err(Error::ExpiresFirst);
        }
        if created.abs_diff(now) > self.window.unsigned_abs() {
            return Err(Error::Stale);
        }
        if parameters.expires.is_some_and(|expires| expires < now) {
            return Err(Error::Expired);
        }
        for component in Self::components(request) {
            if !signature.input().covers(component) {
                return Err(Error::ComponentNotCovered(component));
            }
        }
        let stale = created.saturating_add(self.window);
        let good_until = parameters.expires.map_or(stale, |expires| expires.min(stale));
        Ok(Checked { signature, keyid, nonce, good_until })
    }
}

impl<'a> Checked<'a> {
    /// Whose key it says it is made with.
    #[must_use]
    pub fn keyid(&self) -> &'a str {
        self.keyid
    }

    /// To be accepted once, for this `keyid`, after the proof (§7.2.2).
    #[must_use]
    pub fn nonce(&self) -> &'a str {
        self.nonce
    }

    /// The last second, since 1970, at which this signature is taken: so long the nonce has to be remembered.
    #[must_use]
    pub fn good_until(&self) -> i64 {
        self.good_until
    }

    /// What [`Self::verify`] would say of a key that nobody has: whoever asks about made-up keys learns no more of those
    /// that there are.
    pub fn without_key(&self, request: &Request<'_>) -> Error {
        self.signature.input().base(request).err().unwrap_or(Error::NotVerified)
    }

    /// The proof: that the key made it over this request.
    pub fn verify(&self, request: &Request<'_>, key: &VerifyingKey) -> Result<()> {
        self.signature.verify(request, key)
    }
}
