//! `/admin/keys`: our keys of each algorithm, what state each is in, and the two things to do with them:
//! rotate an algorithm's keys now, and take one key out of the published set (confirmed on `ConfirmPage`).

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
    /// Full address of the published key set.
    pub jwks_uri: String,
    /// Full address of the discovery document.
    pub discovery_uri: String,
}

/// One algorithm and its keys: next, active, then the retired ones.
#[derive(Clone, Debug)]
pub struct Algorithm {
    /// As in tokens: `RS256`.
    pub alg: String,
    /// What it is for: "Signs ID tokens, unless an app asks otherwise".
    pub used_for: String,
    /// When the next key takes over by itself.
    pub next_change: Option<DisplayTime>,
    pub keys: Vec<KeyRow>,
}

#[derive(Clone, Debug)]
pub struct KeyRow {
    pub kid: String,
    pub state: KeyStateView,
    pub made: DisplayTime,
    /// When it became the active one, or will.
    pub active_from: Option<DisplayTime>,
    /// Until when it stays published, or goes on decrypting, once that is known.
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

/// How long a key stays in each state, in words: "14 days".
#[derive(Clone, Debug)]
pub struct KeyLife {
    pub next: String,
    pub active: String,
    pub retired: String,
}

super::in_section!(Keys: KeysPage);
