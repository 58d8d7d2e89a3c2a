//! The values that every template shares: what the deployment is called, who looks at the page, an app as people
//! see it, a moment, a message. Plain data without any rule of the protocol, so that a page can be rendered and
//! looked at alone. The pages' own structs are in `pages/views.rs`, `account/views.rs` and the console's views.

use time::{OffsetDateTime, UtcOffset};

use super::statics;
use super::urls::{STATIC, STATIC_ON_APP_HOST};
use crate::app::AppState;
use crate::domain::printable::escaped;

/// Returns text that others chose as pages and lists show it: with hidden characters escaped. Values of form fields stay as they
/// are, since they are sent back.
pub fn visible(text: &str) -> String {
    escaped(text).into_owned()
}

/// What each page shows of the deployment itself.
#[derive(Debug, Clone)]
pub struct Chrome {
    /// The name people know this server by.
    pub name: String,
    /// The issuer's host, shown in the footer so that people learn where they type their password.
    pub host: String,
    /// Changes with each release; static files are cached for as long as it stays.
    pub version: &'static str,
    /// Below which this page finds them.
    pub files: &'static str,
    /// The address of our first page.
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

    /// Of a page on the host of an app behind a gate, where only what is below `/.signet/` is ours.
    pub fn on_apps_host(app: &AppState) -> Self {
        Self { files: STATIC_ON_APP_HOST, home: app.config.issuer.join("/"), ..Self::of(app) }
    }
}

/// The person who is signed in, for the bar above account and console.
#[derive(Debug, Clone)]
pub struct Viewer {
    pub name: String,
    pub initials: String,
    /// Shows the way to the console.
    pub admin: bool,
    /// Shows the way to API keys.
    pub api_keys: bool,
}

/// One option of a select or one box of a list of boxes.
#[derive(Clone, Debug)]
pub struct Choice {
    pub value: String,
    pub label: String,
    pub selected: bool,
}

/// An app as a person sees it.
#[derive(Debug, Clone)]
pub struct AppCard {
    pub name: String,
    /// An image address that the page's Content-Security-Policy lets through.
    pub logo: Option<String>,
    pub policy: Option<String>,
    pub tos: Option<String>,
    /// By what people can judge an app that nobody here has checked: a host, mostly.
    pub unverified: Option<String>,
}

impl AppCard {
    /// What stands in for a logo: the first two letters of the name, "La" for "Lantern".
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

/// A moment: for machines in `datetime`, for people as text that holds without a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayTime {
    pub iso: String,
    pub text: String,
}

impl DisplayTime {
    pub fn new(moment: OffsetDateTime) -> Self {
        // Only the far ends of the calendar cannot be moved to UTC.
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

    /// A day without its year: "21 Nov".
    pub fn day(at: OffsetDateTime) -> String {
        let month: &str = &at.month().to_string();
        format!("{} {}", at.day(), month.get(..3).unwrap_or(month))
    }
}

/// One message above a page's content: the answer to what was just done.
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

/// Stands where a name has no letter at all.
const NAMELESS: &str = "·";

/// One or two letters for the circle beside a name: of the first and the last word.
pub fn initials(name: &str) -> String {
    let mut heads = name.split_whitespace().filter_map(|word| word.chars().find(|c| c.is_alphanumeric())).map(upper);
    match (heads.next(), heads.next_back()) {
        (Some(first), Some(last)) => format!("{first}{last}"),
        (Some(only), None) => only.to_string(),
        _ => NAMELESS.to_owned(),
    }
}

/// One capital: some letters have capitals of two ("ß" becomes "SS"), and the circle has no room for those.
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
