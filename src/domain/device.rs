//! A device authorization request (RFC 8628): the user code, and the outcomes of polling.
//!
//! See also [`super::authorization_code`], the code of the authorization endpoint.

use std::fmt;

use super::authorization::Authorization;
use super::ids::ClientId;
use super::permissions::Permissions;
use super::secret::{Digest, SecretKind};
use super::version::{VersionedEntity, Versions};
use crate::env::Timestamp;

/// The alphabet of user codes (RFC 8628 §6.1): no vowels, so that no words appear, and no characters that look alike.
/// 20 letters in 8 positions are 34 bits, enough for ten minutes with throttling.
const USER_CODE_ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const USER_CODE_LENGTH: usize = 8;

/// Seconds between two polls (RFC 8628 §3.2), also added to the interval by each poll that comes too soon (§3.5).
pub const POLL_INTERVAL_SECONDS: i64 = 5;

/// The user code, in capitals and without its dash.
#[derive(Clone, PartialEq, Eq)]
pub struct UserCode(String);

impl UserCode {
    /// Generates a code. Bytes that would make some letters more likely are skipped.
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

    /// Parses user input: any case, with dashes and spaces anywhere (§6.1).
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

    /// Returns the stored form. The code is short, so its digest does not withstand a search. It is valid for ten
    /// minutes and requires a signed-in user.
    #[must_use]
    pub fn digest(&self) -> Digest {
        SecretKind::UserCode.digest(&self.0)
    }
}

/// Displays the code as two groups of four letters.
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

/// The user's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceDecision {
    Allowed(Box<Authorization>),
    Denied,
}

#[derive(Clone, Debug)]
pub struct DeviceRequest {
    /// The digest of the device code.
    pub digest: Digest,
    /// The digest of the user code.
    pub user_code: Digest,
    pub client: ClientId,
    pub permissions: Permissions,
    /// The versions of the client and the APIs at the time of the request.
    pub versions: Versions,
    /// The device's address, shown to the user for recognition.
    pub address: String,
    pub user_agent: String,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    /// The current minimum number of seconds between two polls.
    pub interval: i64,
    pub polled_at: Option<Timestamp>,
    pub decision: Option<DeviceDecision>,
    pub used_at: Option<Timestamp>,
}

/// The outcome of a poll (RFC 8628 §3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollOutcome {
    /// The user has not decided yet.
    Pending,
    /// The user has not decided yet and the device polls too often. The new interval is in seconds.
    SlowDown {
        interval: i64,
    },
    Denied,
    Expired,
    /// The code was redeemed before, so a copy of it exists.
    Used,
    /// The code was issued to another client.
    WrongClient,
    Allowed(Box<Authorization>),
}

impl DeviceRequest {
    /// Returns the entities it depends on.
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
        // Bytes from 240 on would favour the first letters. They are skipped, however many there are.
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

    /// The cases of RFC 8628 §3.5.
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
