//! The URL of the database.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::Deserialize;

/// The characters to encode in the path of a `sqlite:` URL. All others stand for themselves. Such a URL is
/// percent-decoded, and its path ends at a question mark.
const PATH_ENCODE_SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// The URL of the database. It may contain a password, so `Debug` does not show it.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Returns the URL of the `SQLite` database in that file, whatever characters its path has.
    #[must_use]
    pub fn from_file(path: &Path) -> Self {
        // SQLite interprets `file:…` as a URI.
        let may_be_one = path.is_relative() && !path.starts_with(".");
        let path = if may_be_one { Path::new(".").join(path) } else { path.to_owned() };
        Self(format!("sqlite://{}", percent_encode(path.as_os_str().as_bytes(), PATH_ENCODE_SET)))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.0.starts_with("sqlite:")
    }

    /// Returns the URL without user, password and parameters, for display.
    #[must_use]
    pub fn redacted(&self) -> String {
        match url::Url::parse(&self.0) {
            Ok(url) if !self.is_sqlite() => {
                format!("PostgreSQL at {}{}", url.host_str().unwrap_or("a socket"), url.path())
            }
            _ => "SQLite".to_owned(),
        }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DatabaseUrl({})", self.redacted())
    }
}

impl TryFrom<String> for DatabaseUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            Ok(Self(text))
        } else {
            Err("must begin with sqlite:// or postgres://")
        }
    }
}
