//! Limits of what unauthenticated callers can make the server store.
//!
//! See also `store::quotas`, which counts the rows, and docs/security.md, "What a stranger can store", their
//! size in bytes.

use serde::Deserialize;

/// Rows that strangers can make the server store at the same time: in all and from one address (IPv6: from one /64; a /48
/// gets a tenth of all). Beyond them a request gets 429 with `Retry-After`. Clients that an administrator registered and
/// that authenticate are exempt. docs/security.md has the bytes ("What a stranger can store").
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// Open sign-ins: authorization requests that wait for a user. One that is answered does not count any more. At a limit
    /// a new one takes the place of an old one: of its own address, or of any if its address has fewer than ten.
    pub interactions: u32,
    /// Open sign-ins from one address. Thousands of users may share one.
    pub interactions_per_address: u32,
    /// Pushed authorization requests (RFC 9126) of clients that are public, self-registered or known by a metadata document.
    pub pushed_requests: u32,
    /// The same from one address.
    pub pushed_requests_per_address: u32,
    /// Device codes (RFC 8628) of such clients. From one address there are 300 in 15 minutes.
    pub device_codes: u32,
    /// Client assertions (RFC 7523) that are remembered as used, of clients that no administrator registered.
    pub client_assertions: u32,
    /// The same from one address.
    pub client_assertions_per_address: u32,
    /// Accounts that were made by signing up and that no administrator has adopted. From one address 20 are asked for in 15
    /// minutes.
    pub self_registered_users: u32,
    /// Browser sessions of one user. One more ends the one that was not used for the longest time.
    pub sessions_per_user: u32,
    /// Sign-ins of one user in an hour, each of which begins or renews a session. Further ones get 429.
    pub sign_ins_per_user: u32,
    /// Counters of failed attempts (`identity::throttle`), which last 15 minutes. Beyond them only browsers that have signed
    /// in to the account before may try passwords.
    pub failure_counters: u32,
    /// Refused sign-ins, and sign-ins to apps that a user may not use, that are written to the audit events in a day. Further
    /// ones are in the log alone, but for the first refusal after a budget of tries has run out: for these there is a tenth as many again, in all and for each address.
    pub failure_events: u32,
    /// The same from one address.
    pub failure_events_per_address: u32,
    /// Registrations, changes and ends of clients that register themselves, that are written to the audit events in a day.
    /// Further ones are done and are in the log alone.
    pub registration_events: u32,
    /// The same from one address.
    pub registration_events_per_address: u32,
}

const MAX_QUOTA: u32 = 10_000_000;

impl Default for Quotas {
    fn default() -> Self {
        Self {
            interactions: 100_000,
            interactions_per_address: 5_000,
            pushed_requests: 20_000,
            pushed_requests_per_address: 1_000,
            device_codes: 20_000,
            client_assertions: 200_000,
            client_assertions_per_address: 20_000,
            self_registered_users: 100_000,
            sessions_per_user: 200,
            sign_ins_per_user: 200,
            failure_counters: 1_000_000,
            failure_events: 20_000,
            failure_events_per_address: 1_000,
            registration_events: 20_000,
            registration_events_per_address: 1_000,
        }
    }
}

impl Quotas {
    pub(super) fn check(&self) -> Result<(), String> {
        let rules = [
            ("interactions", self.interactions),
            ("interactions_per_address", self.interactions_per_address),
            ("pushed_requests", self.pushed_requests),
            ("pushed_requests_per_address", self.pushed_requests_per_address),
            ("device_codes", self.device_codes),
            ("client_assertions", self.client_assertions),
            ("client_assertions_per_address", self.client_assertions_per_address),
            ("self_registered_users", self.self_registered_users),
            ("sessions_per_user", self.sessions_per_user),
            ("sign_ins_per_user", self.sign_ins_per_user),
            ("failure_counters", self.failure_counters),
            ("failure_events", self.failure_events),
            ("failure_events_per_address", self.failure_events_per_address),
            ("registration_events", self.registration_events),
            ("registration_events_per_address", self.registration_events_per_address),
        ];
        for (name, value) in rules {
            if !(1..=MAX_QUOTA).contains(&value) {
                return Err(format!("quotas.{name} is {value}: it is a number from 1 to {MAX_QUOTA}"));
            }
        }
        Ok(())
    }
}
