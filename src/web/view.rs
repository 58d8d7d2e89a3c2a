//! Values that all templates share: the deployment's name, the signed-in user, a client, a time, a message. They are
//! plain data without protocol rules, so that a page can be rendered by itself. The structs of the pages are in
//! `pages/views.rs`, `account/views.rs` and the console's views.

use time::{OffsetDateTime, UtcOffset};

use super::statics;
use super::urls::{STATIC, STATIC_ON_APP_HOST};
use crate::app::AppState;
use crate::domain::printable::escaped;

/// Returns text from outside with hidden characters escaped, for display. Values of form fields are not escaped,
/// since they are sent back.
pub fn visible(text: &str) -> String {
    escaped(text).into_owned()
}

/// The values of the deployment that every page shows.
#[derive(Debug, Clone)]
pub struct Chrome {
    /// The server's display name.
    pub name: String,
    /// The issuer's host. The footer shows it, so that users learn where they enter their password.
    pub host: String,
    /// Changes with the static files, which browsers cache under it.
    pub version: &'static str,
    /// The path of the static files for this page.
    pub files: &'static str,
    /// The address of the home page.
    pub home: String,
}

impl Chrome {
    pub fn of(app: &AppState) -> Self {
        Self {
            name: app.config.name.clone(),
            host: app.config.issuer.host(),
            version: statics::version(),
            files: STATIC,
            home: "/".to_owned(),
        }
    }

    /// Returns the values for a page on the host of a client behind a gate, where only `/.signet/` belongs to this
    /// server.
    pub fn on_apps_host(app: &AppState) -> Self {
        Self { files: STATIC_ON_APP_HOST, home: app.config.issuer.join("/"), ..Self::of(app) }
    }
}

/// The signed-in user, for the bar at the top of the account pages and the console.
#[derive(Debug, Clone)]
pub struct Viewer {
    pub name: String,
    pub initials: String,
    /// Whether to show the link to the console.
    pub admin: bool,
    /// Whether to show the link to API keys.
    pub api_keys: bool,
}

/// An option of a select, or a checkbox of a list.
#[derive(Clone, Debug)]
pub struct Choice {
    pub value: String,
    pub label: String,
    pub selected: bool,
}

/// A client as users see it.
#[derive(Debug, Clone)]
pub struct AppCard {
    pub name: String,
    /// An image URL that the page's Content-Security-Policy allows.
    pub logo: Option<String>,
    pub policy: Option<String>,
    pub tos: Option<String>,
    /// The value by which users can judge a client that is not verified, usually a host.
    pub unverified: Option<String>,
}

impl AppCard {
    /// Returns the replacement for a missing logo: the first two letters of the name, "La" for "Lantern".
    pub fn letters(&self) -> String {
        let mut letters = self.name.chars().filter(|c| c.is_alphanumeric());
        match (letters.next(), letters.next()) {
            (Some(first), Some(second)) => {
                format!("{}{}", upper(first), second.to_lowercase())
            }
            (Some(only), None) => upper(only).to_string(),
            _ => NAMELESS.to_owned(),
        }
    }
}

/// A time for display: `iso` for the `datetime` attribute, `text` for users without JavaScript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayTime {
    pub iso: String,
    pub text: String,
}

impl DisplayTime {
    pub fn new(moment: OffsetDateTime) -> Self {
        // Only dates at the ends of the supported range cannot be converted to UTC.
        let at = moment.checked_to_offset(UtcOffset::UTC).unwrap_or(moment);
        Self {
            iso: format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                at.year(),
                u8::from(at.month()),
                at.day(),
                at.hour(),
                at.minute(),
                at.second()
            ),
            text: format!("{} {}, {:02}:{:02} UTC", Self::day(at), at.year(), at.hour(), at.minute()),
        }
    }

    /// Returns a day without its year: "21 Nov".
    pub fn day(at: OffsetDateTime) -> String {
        let month: &str = &at.month().to_string();
        format!("{} {}", at.day(), month.get(..3).unwrap_or(month))
    }
}

/// A message above a page's content: the result of the last action.
#[derive(Debug, Clone)]
pub struct Notice {
    /// `ok`, `warn`, `bad` or `info`: a class of `signet.css`.
    pub tone: &'static str,
    pub text: String,
}

impl Notice {
    pub fn ok(text: impl Into<String>) -> Self {
        Self { tone: "ok", text: text.into() }
    }

    pub fn bad(text: impl Into<String>) -> Self {
        Self { tone: "bad", text: text.into() }
    }
}

/// Shown if a name has no letter or digit.
const NAMELESS: &str = "·";

/// Returns the initials for the circle beside a name: those of the first and the last word.
pub fn initials(name: &str) -> String {
    let mut heads = name.split_whitespace().filter_map(|word| word.chars().find(|c| c.is_alphanumeric())).map(upper);
    match (heads.next(), heads.next_back()) {
        (Some(first), Some(last)) => format!("{first}{last}"),
        (Some(only), None) => only.to_string(),
        _ => NAMELESS.to_owned(),
    }
}

/// Returns the capital letter. A letter whose capital has two letters ("ß" becomes "SS") is returned unchanged, since
/// the circle has no room for them.
fn upper(letter: char) -> char {
    let mut capital = letter.to_uppercase();
    match (capital.next(), capital.next()) {
        (Some(one), None) => one,
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::{AppCard, DisplayTime, initials};
    use time::OffsetDateTime;

    #[test]
    fn initials_are_one_or_two_letters() {
        for (name, wanted) in [
            ("Alice Example", "AE"),
            ("alice", "A"),
            ("  Ana   María de la Cruz ", "AC"),
            ("(Bob) 'Tables'", "BT"),
            ("Élodie Østergård", "ÉØ"),
            ("山田 太郎", "山太"),
            ("李", "李"),
            ("ßen Ali", "ßA"),
            ("علي حسن", "عح"),
            ("alice@example.com", "A"),
            ("4 Seasons", "4S"),
            ("🦊 !", "·"),
            ("", "·"),
        ] {
            assert_eq!(initials(name), wanted, "{name:?}");
        }
    }

    #[test]
    fn an_app_without_a_logo_shows_two_letters() {
        let app = |name: &str| AppCard { name: name.to_owned(), logo: None, policy: None, tos: None, unverified: None };
        assert_eq!(app("gITEA").letters(), "Gi");
        assert_eq!(app("x").letters(), "X");
        assert_eq!(app("—").letters(), "·");
    }

    #[test]
    fn a_moment_reads_in_utc() -> Result<(), time::error::ComponentRange> {
        let when = DisplayTime::new(OffsetDateTime::from_unix_timestamp(1_795_269_757)?);
        assert_eq!(when.iso, "2026-11-21T14:02:37Z");
        assert_eq!(when.text, "21 Nov 2026, 14:02 UTC");
        Ok(())
    }
}
