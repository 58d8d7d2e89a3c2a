//! What the console's tables share: a search, filters out of a fixed set, and pages that go on by cursor.
//!
//! A cursor is the sort key of the last row, with the name of its table, so that none is taken for another's. It decides
//! nothing but where a page begins; what does not read as one is refused.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::views::{Choice, Pager};
use crate::domain::secret::{base64url, from_base64url};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::web::error::PageError;
use crate::web::extract::SignedIn;

/// Rows of one page. One more is read, to know whether there is a next page.
const PAGE_SIZE: usize = 50;
pub const FETCH_LIMIT: u64 = PAGE_SIZE as u64 + 1;
const MAX_SEARCH_LENGTH: usize = 200;
const FILTERS: [&str; 6] = ["q", "kind", "state", "days", "from", "until"];

/// What was asked of a table.
pub struct ListParams<'a> {
    person: &'a SignedIn,
    query: Parameters,
    /// The table's own address.
    path: &'static str,
}

impl<'a> ListParams<'a> {
    pub fn parse(person: &'a SignedIn, path: &'static str, query: Option<String>) -> Result<Self, PageError> {
        let query = Parameters::parse(query.unwrap_or_default().as_bytes()).map_err(|error| person.error(error))?;
        query.check_repetition_except(&[]).map_err(|error| person.error(error))?;
        Ok(Self { person, query, path })
    }

    /// A parameter as it was sent, empty where it is missing.
    pub fn text(&self, name: &str) -> &str {
        self.query.one(name).ok().flatten().unwrap_or_default()
    }

    fn invalid_request(&self, text: &'static str) -> PageError {
        self.person.error(OAuthError::new(ErrorCode::InvalidRequest, text))
    }

    /// What was searched for.
    pub fn q(&self) -> String {
        self.text("q").trim().chars().take(MAX_SEARCH_LENGTH).collect()
    }

    /// A filter's value, where it is set.
    pub fn filter<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, PageError> {
        match self.text(name) {
            "" => Ok(None),
            text => parse(text).map(Some).ok_or_else(|| self.invalid_request("There is no such filter.")),
        }
    }

    /// Where the page begins.
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

    /// The options of a filter, the first of them for no filter.
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

    /// Cuts the rows that were read to a page; `key` makes the cursor of its last row.
    pub fn page<T, K: Serialize>(&self, rows: &mut Vec<T>, key: impl Fn(&T) -> K) -> Pager {
        let more = rows.len() > PAGE_SIZE;
        rows.truncate(PAGE_SIZE);
        let next = rows.last().filter(|_| more).and_then(|last| self.link_after(&key(last)));
        let whole = !more && !self.is_later_page();
        let shown = format!("{} {}", rows.len(), if whole { "in all" } else { "on this page" });
        Pager { shown, first: self.is_later_page().then(|| self.link(None)), next }
    }

    /// The page that begins after that key.
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
