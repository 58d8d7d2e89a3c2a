//! `/admin/keys`: the template values of the server's keys by algorithm, with their states. An administrator
//! can rotate the keys of an algorithm, and remove a key from the published set (confirmed on `ConfirmPage`).

use askama::Template;

use crate::web::view::{Chrome, DisplayTime, Notice, Viewer};

#[derive(Template)]
#[template(path = "console/keys.html")]
pub struct KeysPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub algorithms: Vec<Algorithm>,
    pub life: KeyLife,
    /// The absolute URL of the published key set.
    pub jwks_uri: String,
    /// The absolute URL of the discovery document.
    pub discovery_uri: String,
}

/// One algorithm and its keys: next, active, then the retired ones.
#[derive(Clone, Debug)]
pub struct Algorithm {
    /// The name of the algorithm as in tokens: `RS256`.
    pub alg: String,
    /// The purpose: "Signs ID tokens, unless an app asks otherwise".
    pub used_for: String,
    /// The time of the next automatic rotation.
    pub next_change: Option<DisplayTime>,
    pub keys: Vec<KeyRow>,
}

#[derive(Clone, Debug)]
pub struct KeyRow {
    pub kid: String,
    pub state: KeyStateView,
    pub made: DisplayTime,
    /// The time at which the key became active, or will become active.
    pub active_from: Option<DisplayTime>,
    /// The time until which the key is published or used for decryption, once it is known.
    pub kept_until: Option<DisplayTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStateView {
    Next,
    Active,
    Retired,
}

impl KeyStateView {
    fn label(self) -> &'static str {
        match self {
            Self::Next => "Next",
            Self::Active => "Active",
            Self::Retired => "Retired",
        }
    }

    fn tone(self) -> &'static str {
        match self {
            Self::Next => "info",
            Self::Active => "ok",
            Self::Retired => "off",
        }
    }
}

/// The duration of each key state as text: "14 days".
#[derive(Clone, Debug)]
pub struct KeyLife {
    pub next: String,
    pub active: String,
    pub retired: String,
}

super::in_section!(Keys: KeysPage);
