//! Limits of connections: how long a step may take.

use std::time::Duration;

use serde::Deserialize;

/// Limits of connections. Times are in seconds.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct Connections {
    /// A request's body, as a whole; a slower one gets 408.
    pub body_timeout: u32,
}

impl Default for Connections {
    fn default() -> Self {
        Self { body_timeout: 10 }
    }
}

impl Connections {
    pub(super) fn check(&self) -> Result<(), String> {
        let rules = [
            // A request has 30 seconds as a whole (`web::limits`).
            ("body_timeout", self.body_timeout, 1, 25),
        ];
        for (name, value, min, max) in rules {
            if !(min..=max).contains(&value) {
                return Err(format!("connections.{name} is {value}: it is a number from {min} to {max}"));
            }
        }
        Ok(())
    }

    #[must_use]
    pub fn body_timeout(&self) -> Duration {
        Duration::from_secs(self.body_timeout.into())
    }
}
