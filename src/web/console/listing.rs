//! The parts that the console's tables share: a search, filters with fixed options, and pagination by cursor.
//!
//! A cursor is the sort key of a page's last row, together with the table's path, so a cursor of another
//! table is rejected. It only decides where a page begins. An invalid cursor is an error.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::views::{Choice, Pager};
use crate::domain::secret::{base64url, from_base64url};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::web::error::PageError;
use crate::web::extract::SignedIn;

/// The number of rows on a page. One more row is fetched to find out whether there is a next page.
const PAGE_SIZE: usize = 50;
pub const FETCH_LIMIT: u64 = PAGE_SIZE as u64 + 1;
const MAX_SEARCH_LENGTH: usize = 200;
const FILTERS: [&str; 6] = ["q", "kind", "state", "days", "from", "until"];

/// The query parameters of a table.
pub struct ListParams<'a> {
    person: &'a SignedIn,
    query: Parameters,
    /// The path of the table's page.
    path: &'static str,
}

impl<'a> ListParams<'a> {
    pub fn parse(person: &'a SignedIn, path: &'static str, query: Option<String>) -> Result<Self, PageError> {
        let query = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(|error| person.error(error))?;
        query.check_repetition_except(&[]).map_err(|error| person.error(error))?;
        Ok(Self { person, query, path })
    }

    /// Returns a parameter as it was sent, or an empty string if it is missing.
    pub fn text(&self, name: &str) -> &str {
        self.query.one(name).ok().flatten().unwrap_or_default()
    }

    fn invalid_request(&self, text: &'static str) -> PageError {
        self.person.error(OAuthError::new(ErrorCode::InvalidRequest, text))
    }

    /// Returns the search term.
    pub fn q(&self) -> String {
        self.text("q").trim().chars().take(MAX_SEARCH_LENGTH).collect()
    }

    /// Returns the value of a filter, if it is set.
    pub fn filter<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, PageError> {
        match self.text(name) {
            "" => Ok(None),
            text => parse(text).map(Some).ok_or_else(|| self.invalid_request("There is no such filter.")),
        }
    }

    /// Returns the sort key after which the page begins.
    pub fn after<T: DeserializeOwned>(&self) -> Result<Option<T>, PageError> {
        match self.text("after") {
            "" => Ok(None),
            text => from_base64url(text)
                .and_then(|json| serde_json::from_slice::<(String, T)>(&json).ok())
                .filter(|(path, _)| path == self.path)
                .map(|(_, key)| Some(key))
                .ok_or_else(|| self.invalid_request("There is no such page. Go back to the first one.")),
        }
    }

    /// Returns the options of a filter. The first option, `all`, means no filter.
    pub fn choices<'b>(
        &self,
        name: &str,
        all: &'b str,
        options: impl IntoIterator<Item = (&'b str, &'b str)>,
    ) -> Vec<Choice> {
        let set = self.text(name);
        [("", all)]
            .into_iter()
            .chain(options)
            .map(|(value, label)| Choice { value: value.to_owned(), label: label.to_owned(), selected: value == set })
            .collect()
    }

    pub fn is_filtered(&self) -> bool {
        FILTERS.into_iter().any(|name| !self.text(name).is_empty())
    }

    fn is_later_page(&self) -> bool {
        !self.text("after").is_empty()
    }

    /// Truncates the fetched rows to one page. `key` returns the sort key of a row, for the cursor.
    pub fn page<T, K: Serialize>(&self, rows: &mut Vec<T>, key: impl Fn(&T) -> K) -> Pager {
        let more = rows.len() > PAGE_SIZE;
        rows.truncate(PAGE_SIZE);
        let next = rows.last().filter(|_| more).and_then(|last| self.link_after(&key(last)));
        let whole = !more && !self.is_later_page();
        let shown = format!("{} {}", rows.len(), if whole { "in all" } else { "on this page" });
        Pager { shown, first: self.is_later_page().then(|| self.link(None)), next }
    }

    /// Returns the link to the page that begins after `key`.
    pub fn link_after(&self, key: &impl Serialize) -> Option<String> {
        let json = serde_json::to_vec(&(self.path, key)).ok()?;
        Some(self.link(Some(&base64url(&json))))
    }

    fn link(&self, after: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for name in FILTERS {
            if !self.text(name).is_empty() {
                query.append_pair(name, self.text(name));
            }
        }
        query.extend_pairs(after.map(|after| ("after", after)));
        match query.finish() {
            query if query.is_empty() => self.path.to_owned(),
            query => format!("{}?{query}", self.path),
        }
    }
}
