//! A device's request to act for somebody who has a browser elsewhere (RFC 8628): the code that a person types, and what
//! a poll of the device comes to.
//!
//! Next door: [`super::code`], the code of the authorization endpoint.

use std::fmt;

use super::authorization::Authorization;
use super::ids::ClientId;
use super::permissions::Permissions;
use super::secret::{Digest, SecretKind};
use super::version::{VersionedEntity, Versions};
use crate::env::Timestamp;

/// RFC 8628 §6.1: no vowels, so that no words come out, and nothing that looks like another one. 20 letters in 8 places
/// are 34 bits: enough for ten minutes under a throttle.
const USER_CODE_ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const USER_CODE_LENGTH: usize = 8;

/// Seconds between two polls (RFC 8628 §3.2), and what each one that comes sooner adds to them (§3.5).
pub const POLL_INTERVAL_SECONDS: i64 = 5;

/// The code that a device shows and a person types, in capitals and without its dash.
#[derive(Clone, PartialEq, Eq)]
pub struct UserCode(String);

impl UserCode {
    /// Draws one. Bytes that would make some letters likelier than others are passed over.
    #[must_use]
    pub fn generate(mut random: impl FnMut() -> [u8; 32]) -> Self {
        let mut code = String::with_capacity(USER_CODE_LENGTH);
        while code.len() < USER_CODE_LENGTH {
            let bytes = random();
            let even = bytes
                .iter()
                .filter(|byte| usize::from(**byte) < 256 / USER_CODE_ALPHABET.len() * USER_CODE_ALPHABET.len());
            let letters = even.filter_map(|byte| USER_CODE_ALPHABET.get(usize::from(*byte) % USER_CODE_ALPHABET.len()));
            let missing = USER_CODE_LENGTH - code.len();
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
        (code.len() == USER_CODE_LENGTH && code.bytes().all(|byte| USER_CODE_ALPHABET.contains(&byte)))
            .then_some(Self(code))
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
        let (first, second) = self.0.split_at(USER_CODE_LENGTH / 2);
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
pub enum DeviceDecision {
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
    pub decision: Option<DeviceDecision>,
    pub used_at: Option<Timestamp>,
}

/// What a poll comes to (RFC 8628 §3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollOutcome {
    /// Nobody has decided yet.
    Pending,
    /// Nobody has, and the device asks too often: it has to wait this many seconds from now on.
    SlowDown {
        interval: i64,
    },
    Denied,
    Expired,
    /// It was redeemed before: somebody has a copy.
    Used,
    /// Another client's.
    WrongClient,
    Allowed(Box<Authorization>),
}

impl DeviceRequest {
    /// What it depends on.
    #[must_use]
    pub fn versioned_entities(&self) -> Vec<VersionedEntity> {
        let apis = self.permissions.apis.apis().cloned().map(VersionedEntity::Api);
        std::iter::once(VersionedEntity::Client(self.client.clone())).chain(apis).collect()
    }

    #[must_use]
    pub fn poll_outcome(&self, client: &ClientId, now: Timestamp) -> PollOutcome {
        if self.client != *client {
            return PollOutcome::WrongClient;
        }
        if self.used_at.is_some() {
            return PollOutcome::Used;
        }
        if now >= self.expires_at {
            return PollOutcome::Expired;
        }
        match &self.decision {
            Some(DeviceDecision::Denied) => PollOutcome::Denied,
            Some(DeviceDecision::Allowed(authorization)) => PollOutcome::Allowed(authorization.clone()),
            None if self.polled_at.is_some_and(|at| now.since(at) < self.interval.saturating_mul(1000)) => {
                PollOutcome::SlowDown { interval: self.interval.saturating_add(POLL_INTERVAL_SECONDS) }
            }
            None => PollOutcome::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{DeviceDecision, DeviceRequest, PollOutcome, USER_CODE_ALPHABET, UserCode};
    use crate::domain::authorization::Authorization;
    use crate::domain::ids::ClientId;
    use crate::domain::permissions::Permissions;
    use crate::domain::secret::Digest;
    use crate::domain::version::Versions;
    use crate::env::Timestamp;

    #[test]
    fn user_code_ignores_case_dashes_and_spaces() {
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
    fn generated_user_codes_are_uniform() {
        let mut counts = [0_u32; 20];
        let mut seed = 0_u8;
        for _ in 0..256 {
            let code = UserCode::generate(|| {
                seed = seed.wrapping_add(1);
                std::array::from_fn(|at| seed.wrapping_mul(7).wrapping_add(u8::try_from(at).unwrap().wrapping_mul(11)))
            });
            assert_eq!(UserCode::parse(&code.to_string()), Some(code.clone()));
            for byte in code.0.bytes() {
                counts[USER_CODE_ALPHABET.iter().position(|letter| *letter == byte).unwrap()] += 1;
            }
        }
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        // Bytes from 240 on would favour the first letters: they are passed over, however many there are.
        let mut calls = 0;
        let code = UserCode::generate(|| {
            calls += 1;
            if calls < 3 { [255; 32] } else { [0; 32] }
        });
        assert_eq!((calls, code.to_string().as_str()), (3, "BBBB-BBBB"));
    }

    proptest! {
        #[test]
        fn parse_never_panics(typed in ".{0,80}") {
            if let Some(code) = UserCode::parse(&typed) {
                prop_assert_eq!(code.to_string().len(), 9);
            }
        }
    }

    /// RFC 8628 §3.5, row by row.
    #[test]
    fn poll_outcomes_follow_rfc8628() {
        let then = Timestamp::from_seconds(1000);
        let tv = ClientId::parse("tv").unwrap();
        let authorization = Box::new(Authorization::for_client(tv.clone(), Permissions::default()));
        let allowed = DeviceDecision::Allowed(authorization.clone());
        let request = |polled: Option<i64>, decision: Option<DeviceDecision>, used: bool| DeviceRequest {
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
            (request(None, None, false), 0, PollOutcome::Pending),
            (request(Some(10), None, false), 15, PollOutcome::Pending),
            (request(Some(10), None, false), 14, PollOutcome::SlowDown { interval: 10 }),
            (request(None, None, false), 599, PollOutcome::Pending),
            (request(None, None, false), 600, PollOutcome::Expired),
            (request(Some(10), Some(DeviceDecision::Denied), false), 11, PollOutcome::Denied),
            (request(Some(10), Some(allowed.clone()), false), 11, PollOutcome::Allowed(authorization)),
            (request(None, Some(allowed.clone()), false), 600, PollOutcome::Expired),
            (request(None, Some(allowed.clone()), true), 11, PollOutcome::Used),
            (request(None, Some(allowed.clone()), true), 601, PollOutcome::Used),
        ] {
            assert_eq!(case.poll_outcome(&tv, then.plus_seconds(seconds)), expected, "{case:?} after {seconds}");
            let other = ClientId::parse("other").unwrap();
            assert_eq!(case.poll_outcome(&other, then.plus_seconds(seconds)), PollOutcome::WrongClient);
        }
    }
}
