//! A request as a signature sees it: method, target URI and header fields, as raw as they came. A proxy's question, a
//! server's request and a client's own are all brought into this form.

use crate::error::{Error, Result, shortened};
use crate::field::StructuredType;

/// Borrowed throughout; nothing is decoded.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    method: &'a str,
    scheme: &'a str,
    authority: &'a str,
    /// Begins with `/`, or is empty or `?…`, which both stand for the path `/` (RFC 9110 §4.2.3).
    target: &'a str,
    fields: Vec<(&'a str, &'a [u8])>,
    types: Vec<(&'a str, StructuredType)>,
}

impl<'a> Request<'a> {
    /// Path and query together, as they were sent; a path that is empty counts as `/`.
    pub fn new(method: &'a str, scheme: &'a str, authority: &'a str, path_and_query: &'a str) -> Result<Self> {
        if !is_token(method) {
            return Err(Error::Method);
        }
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let good = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(letters)
            && !authority.is_empty()
            && visible(authority)
            && !authority.contains(['@', '/', '?', '#', '\\'])
            && (path_and_query.is_empty() || path_and_query.starts_with(['/', '?']))
            && visible(path_and_query)
            && !path_and_query.contains('#');
        if !good {
            return Err(Error::Target);
        }
        Ok(Self { method, scheme, authority, target: path_and_query, fields: Vec::new(), types: Vec::new() })
    }

    /// The same from the target URI in one piece.
    pub fn to(method: &'a str, uri: &'a str) -> Result<Self> {
        let (scheme, rest) = uri.split_once("://").ok_or(Error::Target)?;
        let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        Self::new(method, scheme, authority, target)
    }

    /// One line of a header field; several of one name in their order. The value has no line end but those of folding
    /// (RFC 9112 §5.2).
    pub fn with_field(mut self, name: &'a str, value: &'a [u8]) -> Result<Self> {
        if !is_token(name) {
            return Err(Error::FieldName);
        }
        self.fields.push((name, value));
        Ok(self)
    }

    pub fn with_fields(self, fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self> {
        fields.into_iter().try_fold(self, |request, (name, value)| request.with_field(name, value))
    }

    /// That a field of the API's own is structured, so that `sf` may be used on it (RFC 9421 §2.1.1). Those of the IETF's
    /// specifications are known.
    #[must_use]
    pub fn with_type(mut self, name: &'a str, of: StructuredType) -> Self {
        self.types.push((name, of));
        self
    }

    /// RFC 9421 §2.2.1: as it was sent; letter case counts.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// §2.2.2, RFC 9110 §7.1.
    #[must_use]
    pub fn target_uri(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority, self.request_target())
    }

    /// §2.2.3: in lower case, and without the port that the scheme has anyway.
    #[must_use]
    pub fn authority(&self) -> String {
        let lower = self.authority.to_ascii_lowercase();
        let default = match self.scheme() {
            scheme if scheme == "http" => "80",
            scheme if scheme == "https" => "443",
            _ => "",
        };
        match lower.rsplit_once(':') {
            // The last colon of an IPv6 address stands before its bracket.
            Some((host, port)) if !port.ends_with(']') && (port.is_empty() || port == default) => host.to_owned(),
            _ => lower,
        }
    }

    /// §2.2.4: in lower case.
    #[must_use]
    pub fn scheme(&self) -> String {
        self.scheme.to_ascii_lowercase()
    }

    /// §2.2.5, of the origin form.
    #[must_use]
    pub fn request_target(&self) -> String {
        if self.target.starts_with('/') { self.target.to_owned() } else { format!("/{}", self.target) }
    }

    /// §2.2.6.
    #[must_use]
    pub fn path(&self) -> &'a str {
        match self.target.split('?').next() {
            None | Some("") => "/",
            Some(path) => path,
        }
    }

    /// What stands behind the question mark.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The lines of a field, in their order. Letter case does not count.
    pub fn lines<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.fields.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.lines(name).next().is_some()
    }

    pub(crate) fn type_of(&self, name: &str) -> Option<StructuredType> {
        let own = self.types.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, of)| *of);
        own.or_else(|| StructuredType::of(name))
    }

    /// A structured field with its lines joined (RFC 9651 §4.2), nothing where it was not sent.
    pub(crate) fn joined(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let mut lines = self.lines(name);
        let Some(first) = lines.next() else { return Ok(None) };
        let mut joined = first.to_vec();
        for line in lines {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(line);
        }
        if joined.len() > crate::MAX_BYTES {
            return Err(Error::TooLong(shortened(name)));
        }
        Ok(Some(joined))
    }
}

/// RFC 9110 §5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::Request;
    use crate::Error;

    #[test]
    fn target_uri_is_split_without_normalizing() {
        let read = |uri| {
            let request = Request::to("GET", uri).unwrap();
            let query = request.query().map(str::to_owned);
            (request.target_uri(), request.authority(), request.scheme(), request.path().to_owned(), query)
        };
        let own = str::to_owned;
        for (uri, target, authority, scheme, path, query) in [
            ("https://a.example", "https://a.example/", "a.example", "https", "/", None),
            ("https://a.example?x", "https://a.example/?x", "a.example", "https", "/", Some("x")),
            ("HTTPS://A.example:443/B", "HTTPS://A.example:443/B", "a.example", "https", "/B", None),
            ("http://a.example:80/?", "http://a.example:80/?", "a.example", "http", "/", Some("")),
            ("http://a.example:/x", "http://a.example:/x", "a.example", "http", "/x", None),
            ("http://a.example:443/", "http://a.example:443/", "a.example:443", "http", "/", None),
            ("https://[2001:DB8::1]:443/", "https://[2001:DB8::1]:443/", "[2001:db8::1]", "https", "/", None),
            ("https://[::443]/", "https://[::443]/", "[::443]", "https", "/", None),
            ("ws://a:80/", "ws://a:80/", "a:80", "ws", "/", None),
            (
                "https://a/%2f/../x?a=b?c#".trim_end_matches('#'),
                "https://a/%2f/../x?a=b?c",
                "a",
                "https",
                "/%2f/../x",
                Some("a=b?c"),
            ),
        ] {
            assert_eq!(read(uri), (own(target), own(authority), own(scheme), own(path), query.map(own)), "{uri}");
        }
    }

    #[test]
    fn ambiguous_targets_and_names_are_rejected() {
        for uri in [
            "",
            "a.example/",
            "https:///x",
            "https://",
            "https://u@a/",
            "https://a/ b",
            "https://a/\n",
            "https://a\n/",
            "https://a/#x",
            "https://a#x",
            "https://a/\u{e4}",
            "://a/",
            "1a://a/",
            "https://a\\b/",
        ] {
            assert_eq!(Request::to("GET", uri).err(), Some(Error::Target), "{uri:?}");
        }
        assert_eq!(Request::new("GET", "https", "a", "*").err(), Some(Error::Target));
        for method in ["", "G T", "GET\n", "G\u{e4}T"] {
            assert_eq!(Request::to(method, "https://a/").err(), Some(Error::Method), "{method:?}");
        }
        for name in ["", "a b", "a:", "a\n", "\u{e4}"] {
            let request = Request::to("GET", "https://a/").unwrap();
            assert_eq!(request.with_field(name, b"x").err(), Some(Error::FieldName), "{name:?}");
        }
    }
}
