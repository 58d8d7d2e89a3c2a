//! A device's request to act for somebody who has a browser elsewhere (RFC 8628): the code that a person types, and what
//! a poll of the device comes to.
//!
//! Next door: [`super::code`], the code of the authorization endpoint.

use std::fmt;

use super::authorization::Authorization;
use super::ids::ClientId;
use super::permissions::Permissions;
use super::secret::{Digest, SecretKind};
use super::version::{Versioned, Versions};
use crate::env::Timestamp;

/// RFC 8628 §6.1: no vowels, so that no words come out, and nothing that looks like another one. 20 letters in 8 places
/// are 34 bits: enough for ten minutes under a throttle.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;

/// Seconds between two polls (RFC 8628 §3.2), and what each one that comes sooner adds to them (§3.5).
pub const INTERVAL_SECONDS: i64 = 5;

/// The code that a device shows and a person types, in capitals and without its dash.
#[derive(Clone, PartialEq, Eq)]
pub struct UserCode(String);

impl UserCode {
    /// Draws one. Bytes that would make some letters likelier than others are passed over.
    #[must_use]
    pub fn draw(mut random: impl FnMut() -> [u8; 32]) -> Self {
        let mut code = String::with_capacity(LENGTH);
        while code.len() < LENGTH {
            let bytes = random();
            let even = bytes.iter().filter(|byte| usize::from(**byte) < 256 / LETTERS.len() * LETTERS.len());
            let letters = even.filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()));
            let missing = LENGTH - code.len();
            code.extend(letters.take(missing).map(|letter| char::from(*letter)));
        }
        Self(code)
    }

    /// What somebody typed: small letters or capitals, with dashes and spaces wherever they like (§6.1).
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > 64 {
            return None;
        }
        let code: String =
            typed.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_uppercase()).collect();
        (code.len() == LENGTH && code.bytes().all(|byte| LETTERS.contains(&byte))).then_some(Self(code))
    }

    /// What is kept of it. It is short, so the digest hides it from a glance only; it is good for ten minutes, and for
    /// nothing without a person who is signed in.
    #[must_use]
    pub fn digest(&self) -> Digest {
        SecretKind::UserCode.digest(&self.0)
    }
}

/// As it is shown: two groups of four.
impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.0.split_at(LENGTH / 2);
        write!(f, "{first}-{second}")
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[user code]")
    }
}

/// What a person said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Allowed(Box<Authorization>),
    Denied,
}

#[derive(Clone, Debug)]
pub struct DeviceRequest {
    /// Of the code that the device polls with.
    pub digest: Digest,
    /// Of the code that a person types.
    pub user_code: Digest,
    pub client: ClientId,
    pub permissions: Permissions,
    /// Of the client and the APIs when it asked.
    pub versions: Versions,
    /// From where the device asked, for the person to recognise.
    pub address: String,
    pub user_agent: String,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    /// Seconds that the device has to wait between two polls by now.
    pub interval: i64,
    pub polled_at: Option<Timestamp>,
    pub decision: Option<Decision>,
    pub used_at: Option<Timestamp>,
}

/// What a poll comes to (RFC 8628 §3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Nobody has decided yet.
    Pending,
    /// Nobody has, and the device asks too often: it has to wait this many seconds from now on.
    TooSoon {
        interval: i64,
    },
    Denied,
    Expired,
    /// It was redeemed before: somebody has a copy.
    Used,
    /// Another client's.
    Foreign,
    Allowed(Box<Authorization>),
}

impl DeviceRequest {
    /// What it depends on.
    #[must_use]
    pub fn versioned(&self) -> Vec<Versioned> {
        let apis = self.permissions.apis.apis().cloned().map(Versioned::Api);
        std::iter::once(Versioned::Client(self.client.clone())).chain(apis).collect()
    }

    #[must_use]
    pub fn judge(&self, client: &ClientId, now: Timestamp) -> Poll {
        if self.client != *client {
            return Poll::Foreign;
        }
        if self.used_at.is_some() {
            return Poll::Used;
        }
        if now >= self.expires_at {
            return Poll::Expired;
        }
        match &self.decision {
            Some(Decision::Denied) => Poll::Denied,
            Some(Decision::Allowed(authorization)) => Poll::Allowed(authorization.clone()),
            None if self.polled_at.is_some_and(|at| now.since(at) < self.interval.saturating_mul(1000)) => {
                Poll::TooSoon { interval: self.interval.saturating_add(INTERVAL_SECONDS) }
            }
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Decision, DeviceRequest, LETTERS, Poll, UserCode};
    use crate::domain::authorization::Authorization;
    use crate::domain::ids::ClientId;
    use crate::domain::permissions::Permissions;
    use crate::domain::secret::Digest;
    use crate::domain::version::Versions;
    use crate::env::Timestamp;

    #[test]
    fn a_code_is_typed_in_any_way_people_type() {
        for typed in ["WDJB-MJHT", "wdjb-mjht", "WDJBMJHT", " wdjb mjht ", "w d j b-m j h t", "WDJB--MJHT\n"] {
            assert_eq!(UserCode::parse(typed).unwrap().to_string(), "WDJB-MJHT", "{typed:?}");
        }
        let long = format!("WDJB{}MJHT", "-".repeat(64));
        for typed in ["", "WDJB", "WDJB-MJH", "WDJB-MJHTX", "WDJB-MJHA", "WDJB-MJH1", "WDJB_MJHT", "ŴDJB-MJHT", &long]
        {
            assert!(UserCode::parse(typed).is_none(), "{typed:?}");
        }
    }

    #[test]
    fn a_drawn_code_is_even_over_its_letters() {
        let mut counts = [0_u32; 20];
        let mut seed = 0_u8;
        for _ in 0..256 {
            let code = UserCode::draw(|| {
                seed = seed.wrapping_add(1);
                std::array::from_fn(|at| seed.wrapping_mul(7).wrapping_add(u8::try_from(at).unwrap().wrapping_mul(11)))
            });
            assert_eq!(UserCode::parse(&code.to_string()), Some(code.clone()));
            for byte in code.0.bytes() {
                counts[LETTERS.iter().position(|letter| *letter == byte).unwrap()] += 1;
            }
        }
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        // Bytes from 240 on would favour the first letters: they are passed over, however many there are.
        let mut calls = 0;
        let code = UserCode::draw(|| {
            calls += 1;
            if calls < 3 { [255; 32] } else { [0; 32] }
        });
        assert_eq!((calls, code.to_string().as_str()), (3, "BBBB-BBBB"));
    }

    proptest! {
        #[test]
        fn whatever_is_typed_is_a_code_or_none(typed in ".{0,80}") {
            if let Some(code) = UserCode::parse(&typed) {
                prop_assert_eq!(code.to_string().len(), 9);
            }
        }
    }

    /// RFC 8628 §3.5, row by row.
    #[test]
    fn a_poll_comes_to_one_thing() {
        let then = Timestamp::from_seconds(1000);
        let tv = ClientId::parse("tv").unwrap();
        let authorization = Box::new(Authorization::of_client(tv.clone(), Permissions::default()));
        let allowed = Decision::Allowed(authorization.clone());
        let request = |polled: Option<i64>, decision: Option<Decision>, used: bool| DeviceRequest {
            digest: Digest([1; 32]),
            user_code: Digest([2; 32]),
            client: tv.clone(),
            permissions: Permissions::default(),
            versions: Versions::default(),
            address: String::new(),
            user_agent: String::new(),
            issued_at: then,
            expires_at: then.plus_seconds(600),
            interval: 5,
            polled_at: polled.map(|seconds| then.plus_seconds(seconds)),
            decision,
            used_at: used.then_some(then),
        };
        for (case, seconds, expected) in [
            (request(None, None, false), 0, Poll::Pending),
            (request(Some(10), None, false), 15, Poll::Pending),
            (request(Some(10), None, false), 14, Poll::TooSoon { interval: 10 }),
            (request(None, None, false), 599, Poll::Pending),
            (request(None, None, false), 600, Poll::Expired),
            (request(Some(10), Some(Decision::Denied), false), 11, Poll::Denied),
            (request(Some(10), Some(allowed.clone()), false), 11, Poll::Allowed(authorization)),
            (request(None, Some(allowed.clone()), false), 600, Poll::Expired),
            (request(None, Some(allowed.clone()), true), 11, Poll::Used),
            (request(None, Some(allowed.clone()), true), 601, Poll::Used),
        ] {
            assert_eq!(case.judge(&tv, then.plus_seconds(seconds)), expected, "{case:?} after {seconds}");
            let other = ClientId::parse("other").unwrap();
            assert_eq!(case.judge(&other, then.plus_seconds(seconds)), Poll::Foreign);
        }
    }
}
