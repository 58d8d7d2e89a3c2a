//! The contents of `security.txt`, for reporters of vulnerabilities (RFC 9116). See also `web::well_known`,
//! which serves it.

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use super::list::Texts;

/// `/.well-known/security.txt` (RFC 9116): where to report a weakness of this deployment. It is there with a `contact`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct SecurityTxt {
    /// Where to report, the best way first, such as `mailto:security@example.com` or `https://example.com/report`.
    pub contact: UriList,
    /// Until when the file is good, such as `2027-06-30T00:00:00Z`; without it for 180 days from the day on which it is read.
    pub expires: Option<Rfc3339Time>,
    /// Keys for encrypted reports, such as `https://example.com/key.asc`.
    pub encryption: UriList,
    /// Where reporters are thanked.
    pub acknowledgments: UriList,
    /// What reporters may expect and what is expected of them.
    pub policy: UriList,
    /// Languages of reports, such as `en, de`.
    pub preferred_languages: LanguageList,
}

/// URIs that are allowed in the file: web addresses must begin with https (RFC 9116 §2.5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Texts")]
pub struct UriList(Vec<String>);

impl UriList {
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Texts> for UriList {
    type Error = String;

    fn try_from(value: Texts) -> Result<Self, Self::Error> {
        let items = value.0;
        for item in &items {
            let is_printable = item.bytes().all(|byte| byte.is_ascii_graphic());
            let scheme = Url::parse(item).ok().map(|url| url.scheme().to_owned()).filter(|_| is_printable);
            if scheme.is_none_or(|scheme| scheme == "http") {
                return Err(format!("{item:?} is no URI such as mailto:security@example.com or https://example.com/"));
            }
        }
        Ok(Self(items))
    }
}

/// Language tags (RFC 5646).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Texts")]
pub struct LanguageList(Vec<String>);

impl LanguageList {
    /// Returns the tags, separated by commas; `None` if there are none.
    #[must_use]
    pub fn joined(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(", "))
    }
}

impl TryFrom<Texts> for LanguageList {
    type Error = String;

    fn try_from(value: Texts) -> Result<Self, Self::Error> {
        let items = value.0;
        let is_tag = |tag: &String| {
            tag.split('-')
                .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        };
        match items.iter().find(|tag| !is_tag(tag)) {
            Some(bad) => Err(format!("{bad:?} is no language tag such as en or pt-BR")),
            None => Ok(Self(items)),
        }
    }
}

/// A time in the format of RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Rfc3339Time(pub OffsetDateTime);

impl TryFrom<String> for Rfc3339Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let time = OffsetDateTime::parse(&text, &Rfc3339);
        time.map(Self).map_err(|_| format!("{text:?} is no time such as 2027-06-30T00:00:00Z"))
    }
}
