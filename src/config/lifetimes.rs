//! Lifetimes in seconds. docs/configuration.md lists the defaults, and each of them can be set.

use serde::Deserialize;

/// Lifetimes in seconds.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct Lifetimes {
    /// Authorization code (RFC 6749 §4.1.2 allows at most 600).
    pub code: i64,
    /// What a device shows and polls with (RFC 8628 §3.2).
    pub device_code: i64,
    /// Access token, where its API does not say otherwise.
    pub access_token: i64,
    /// ID token.
    pub id_token: i64,
    /// Refresh token: each use begins this time again.
    pub refresh_token: i64,
    /// For how long a replaced refresh token gets its successor again, so that parallel requests and lost replies agree.
    /// Later its use ends the family. A client's `refresh_token_grace` comes before this.
    pub refresh_token_grace: i64,
    /// A family of refresh tokens, from the sign-in on, however often it is used.
    pub grant: i64,
    /// A browser session without any request.
    pub session_idle: i64,
    /// A browser session at most.
    pub session: i64,
    /// A browser session without any request, where its person asked to stay signed in.
    pub remembered_idle: i64,
    /// A browser session at most, where its person asked to stay signed in.
    pub remembered: i64,
    /// A sign-in that counts as recent: for so long it is enough for administration, and for changing one's own password,
    /// passkeys and API keys. After that these ask for the strongest method that the account has.
    pub recent_sign_in: i64,
    /// An authorization request that waits for a person.
    pub interaction: i64,
    /// A signing key's time as the active one.
    pub signing_key: i64,
    /// How long a key is published at least before it signs.
    pub signing_key_overlap: i64,
    /// Audit events; older ones are swept.
    pub events: i64,
}

/// The maximum grace window, for the setting and for a client.
pub const MAX_REFRESH_TOKEN_GRACE: i64 = 10 * MINUTE;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            code: MINUTE,
            device_code: 10 * MINUTE,
            access_token: 10 * MINUTE,
            id_token: HOUR,
            refresh_token: 30 * DAY,
            refresh_token_grace: MINUTE,
            grant: 365 * DAY,
            session_idle: 2 * HOUR,
            session: 12 * HOUR,
            remembered_idle: 14 * DAY,
            remembered: 60 * DAY,
            recent_sign_in: 15 * MINUTE,
            interaction: HOUR,
            signing_key: 90 * DAY,
            signing_key_overlap: DAY,
            events: 90 * DAY,
        }
    }
}

impl Lifetimes {
    pub(super) fn check(&self) -> Result<(), String> {
        let rules = [
            ("code", self.code, 1, 600),
            ("device_code", self.device_code, MINUTE, HOUR),
            ("access_token", self.access_token, MINUTE, DAY),
            ("id_token", self.id_token, MINUTE, DAY),
            ("refresh_token", self.refresh_token, MINUTE, 400 * DAY),
            ("refresh_token_grace", self.refresh_token_grace, 0, MAX_REFRESH_TOKEN_GRACE),
            ("grant", self.grant, MINUTE, 3_650 * DAY),
            ("session_idle", self.session_idle, MINUTE, 400 * DAY),
            ("session", self.session, MINUTE, 400 * DAY),
            ("remembered_idle", self.remembered_idle, MINUTE, 400 * DAY),
            ("remembered", self.remembered, MINUTE, 400 * DAY),
            ("recent_sign_in", self.recent_sign_in, MINUTE, DAY),
            ("interaction", self.interaction, MINUTE, DAY),
            ("signing_key", self.signing_key, DAY, 3_650 * DAY),
            // Longer than the JWKS may be cached (an hour, see `web::oauth::documents`).
            ("signing_key_overlap", self.signing_key_overlap, 2 * HOUR, 30 * DAY),
            ("events", self.events, DAY, 3_650 * DAY),
        ];
        for (name, value, least, most) in rules {
            if !(least..=most).contains(&value) {
                return Err(format!("lifetimes.{name} is {value}: it is a number of seconds from {least} to {most}"));
            }
        }
        Ok(())
    }
}
