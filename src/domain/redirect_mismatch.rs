//! Explains to administrators how a rejected redirect URI differs from the registered ones. See also
//! [`super::redirect_uri`], which compares them.

use url::Url;

use super::redirect_uri::RedirectUri;

/// Describes how a redirect URI differs from the most similar registered one.
#[must_use]
pub fn difference(registered: &[RedirectUri], sent: &str) -> String {
    let nearest = registered.iter().map(|uri| (first_mismatch(uri.as_str(), sent), uri)).max_by_key(|(part, _)| *part);
    match nearest {
        None => format!("redirect_uri {sent} is not registered: the client has no redirect URI"),
        Some((part, uri)) => format!("redirect_uri {sent} is not registered; the nearest is {uri}: {}", part.as_str()),
    }
}

/// The first part in which two URIs differ. A later part means more similar URIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum UriMismatch {
    Everything,
    Scheme,
    Host,
    Port,
    Path,
    PathCase,
    Query,
    TrailingSlash,
    Spelling,
}

impl UriMismatch {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Everything => "it is no absolute URI",
            Self::Scheme => "the scheme differs",
            Self::Host => "the host differs",
            Self::Port => "the port differs",
            Self::Path => "the path differs",
            Self::PathCase => "the letter case of the path differs",
            Self::Query => "the query differs",
            Self::TrailingSlash => "one of them ends with a slash",
            Self::Spelling => {
                "they mean the same and are spelled differently; they have to agree character by character"
            }
        }
    }
}

fn first_mismatch(registered: &str, sent: &str) -> UriMismatch {
    let (Ok(a), Ok(b)) = (Url::parse(registered), Url::parse(sent)) else { return UriMismatch::Everything };
    if a.scheme() != b.scheme() {
        return UriMismatch::Scheme;
    }
    if a.host() != b.host() {
        return UriMismatch::Host;
    }
    if a.port_or_known_default() != b.port_or_known_default() {
        return UriMismatch::Port;
    }
    if a.path() == b.path() {
        return if a.query() == b.query() { UriMismatch::Spelling } else { UriMismatch::Query };
    }
    if a.path().trim_end_matches('/') == b.path().trim_end_matches('/') {
        return UriMismatch::TrailingSlash;
    }
    if a.path().eq_ignore_ascii_case(b.path()) { UriMismatch::PathCase } else { UriMismatch::Path }
}

#[cfg(test)]
mod tests {
    use super::{RedirectUri, difference};

    #[test]
    fn mismatch_names_the_nearest_uri() {
        let all = ["https://app.example/cb", "https://app.example/a/b?x=1", "http://127.0.0.1:9999/cb"];
        let registered = all.map(|uri| RedirectUri::parse(uri).unwrap());
        for (sent, nearest, says) in [
            ("https://app.example/cb/", all[0], "slash"),
            ("https://app.example/CB", all[0], "letter case"),
            ("https://app.example/cb?x=1", all[0], "query"),
            ("https://app.example/a/b", all[1], "query"),
            ("https://app.example:8443/cb", all[1], "port"),
            ("http://127.0.0.1:9998/cb", all[2], "port"),
            ("https://APP.example/cb", all[0], "spelled"),
            ("https://evil.example/cb", all[1], "host"),
            ("cursor://cb", all[2], "scheme"),
            ("/cb", all[2], "absolute"),
        ] {
            let said = difference(&registered, sent);
            assert!(said.contains(&format!("nearest is {nearest}:")) && said.contains(says), "{said}");
        }
        assert!(difference(&[], "https://app.example/cb").contains("no redirect URI"));
    }
}
