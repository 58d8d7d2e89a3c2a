//! Parses OAuth 1.0 requests (RFC 5849): the parameters in `Authorization` (§3.5.1) and the signature base string
//! (§3.4.1). Does no I/O; [`super::authenticate`] verifies the signature.
//!
//! Only requests without a token are supported: a client signs on its own behalf. The parameters of a body of the type
//! `application/x-www-form-urlencoded` belong to the base string, but the gate does not see the body. Such a request
//! cannot be verified here.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::forwarded_request::ForwardedRequest;

/// The encoding of §3.6: every character except the unreserved ones of RFC 3986 §2.3.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The parameters that must be in the header and nowhere else (§3.1). The base string does not record where a parameter
/// was. If the header could contain a request parameter, an attacker could move it into the query, where the API would
/// use it.
const HEADER_PARAMETERS: [&str; 8] = [
    "realm",
    "oauth_consumer_key",
    "oauth_token",
    "oauth_signature_method",
    "oauth_signature",
    "oauth_timestamp",
    "oauth_nonce",
    "oauth_version",
];
const RESERVED_PREFIX: &str = "oauth_";

#[must_use]
pub(super) fn encoded(bytes: &[u8]) -> String {
    percent_encode(bytes, ENCODED).to_string()
}

/// The OAuth parameters of a request (§3.2).
#[derive(Debug, PartialEq, Eq)]
pub struct OAuth1Parameters {
    pub consumer_key: String,
    pub signature_method: String,
    pub signature: String,
    pub timestamp: i64,
    pub nonce: String,
    /// The signed parameters: all except `realm` and the signature.
    signed: Vec<(String, String)>,
}

impl OAuth1Parameters {
    /// Parses the header value after `OAuth `.
    ///
    /// # Errors
    /// Returns a sentence for the caller.
    pub fn read(header: &str) -> Result<Self, &'static str> {
        let mut all: Vec<(String, String)> = Vec::new();
        for part in header.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or("a parameter is no name=\"value\"")?;
            let value = value.trim().strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let value = value.ok_or("a value stands in no quotation marks")?;
            let (name, value) = (decoded(name.trim())?, decoded(value)?);
            if !HEADER_PARAMETERS.contains(&name.as_str()) {
                return Err("the header has a parameter that is none of OAuth 1.0; send it in the query");
            }
            if all.iter().any(|(known, _)| *known == name) {
                return Err("a parameter stands twice");
            }
            all.push((name, value));
        }
        all.retain(|(name, _)| name != "realm");
        let mut take = |name: &str| all.iter().position(|(known, _)| known == name).map(|at| all.remove(at).1);
        let signature = take("oauth_signature").ok_or("oauth_signature is missing")?;
        let get = |name: &str| all.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        if get("oauth_version").is_some_and(|version| version != "1.0") {
            return Err("oauth_version is not 1.0");
        }
        if get("oauth_token").is_some_and(|token| !token.is_empty()) {
            return Err("oauth_token is not taken: a client signs for itself");
        }
        let timestamp = get("oauth_timestamp").ok_or("oauth_timestamp is missing")?;
        // §3.3: a positive integer.
        let digits = !timestamp.starts_with('0') && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let timestamp = timestamp.parse().ok().filter(|_| digits).ok_or("oauth_timestamp is no positive integer")?;
        let nonce = get("oauth_nonce").ok_or("oauth_nonce is missing")?.to_owned();
        if nonce.is_empty() || nonce.len() > 128 || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("oauth_nonce has 1 to 128 visible ASCII characters");
        }
        let own = |name: &'static str, missing| get(name).map(str::to_owned).ok_or(missing);
        Ok(Self {
            consumer_key: own("oauth_consumer_key", "oauth_consumer_key is missing")?,
            signature_method: own("oauth_signature_method", "oauth_signature_method is missing")?,
            signature,
            timestamp,
            nonce,
            signed: all,
        })
    }

    /// Returns whether the query has a parameter whose name is reserved for the header.
    #[must_use]
    pub fn has_reserved_in_query(original: &ForwardedRequest) -> bool {
        let query = original.target.split_once('?').map_or("", |(_, query)| query);
        query.split('&').any(|pair| {
            let name = form_decoded(pair.split('=').next().unwrap_or_default());
            name.get(..RESERVED_PREFIX.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX.as_bytes()))
        })
    }

    /// Returns the signature base string (§3.4.1): method, URL and parameters, each encoded, joined with `&`.
    #[must_use]
    pub fn base_string(&self, original: &ForwardedRequest) -> String {
        let (path, query) = original.target.split_once('?').unwrap_or((&original.target, ""));
        let scheme = original.scheme.to_ascii_lowercase();
        let host = original.host.to_ascii_lowercase();
        // §3.4.1.2: the default port of the scheme is left out.
        let usual = if scheme == "http" { ":80" } else { ":443" };
        let host = host.strip_suffix(usual).unwrap_or(&host);
        let address = format!("{scheme}://{host}{path}");
        // §3.4.1.3.1: the query parsed as a form (a plus is a space), and the parameters of the header.
        let in_query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (form_decoded(name), form_decoded(value))
        });
        let in_header = self.signed.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes()));
        let mut pairs: Vec<(String, String)> =
            in_query.chain(in_header).map(|(name, value)| (encoded(&name), encoded(&value))).collect();
        // §3.4.1.3.2: sorted by encoded bytes, by name and then by value.
        pairs.sort_unstable();
        let parameters: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let method = original.method.to_ascii_uppercase();
        [method.as_str(), &address, &parameters.join("&")].map(|part| encoded(part.as_bytes())).join("&")
    }
}

fn decoded(text: &str) -> Result<String, &'static str> {
    let hex = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    if text.match_indices('%').any(|(at, _)| !hex(at + 1) || !hex(at + 2)) {
        return Err("a percent sign has no two hexadecimal digits behind it");
    }
    let text = percent_decode_str(text).decode_utf8().map_err(|_| "a parameter is not UTF-8")?;
    Ok(text.into_owned())
}

fn form_decoded(text: &str) -> Vec<u8> {
    let spaced: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    percent_decode_str(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn original(method: &str, scheme: &str, host: &str, target: &str) -> ForwardedRequest {
        let own = str::to_owned;
        ForwardedRequest {
            method: own(method),
            scheme: own(scheme),
            host: own(host),
            target: own(target),
            path: String::new(),
        }
    }

    /// The example of §3.4.1.1 without body and token, which are not supported, and with the parameters of the header.
    #[test]
    fn base_string_matches_the_rfc_example() {
        let header = r#"realm="Example", oauth_consumer_key="9djdj82h48djs9d2", oauth_signature_method="HMAC-SHA256",
            oauth_timestamp="137131201", oauth_nonce="7d8f3e4a", oauth_signature="djosJKDKJSD8743243%2Fjdk33klY%3D""#;
        let read = OAuth1Parameters::read(&header.replace('\n', " ")).unwrap();
        assert_eq!(read.signature, "djosJKDKJSD8743243/jdk33klY=");
        let base = read.base_string(&original(
            "post",
            "HTTP",
            "EXAMPLE.COM:80",
            "/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b&c2=&a3=2+q",
        ));
        assert_eq!(
            base,
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D\
             %26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3D\
             HMAC-SHA256%26oauth_timestamp%3D137131201"
        );
    }

    /// The two examples of §3.4.1.2.
    #[test]
    fn default_port_is_left_out() {
        let read = OAuth1Parameters::read(
            r#"oauth_consumer_key="a",oauth_signature_method="b",oauth_timestamp="1",oauth_nonce="n",oauth_signature="s""#,
        )
        .unwrap();
        for (scheme, host, target, shown) in [
            ("http", "EXAMPLE.COM:80", "/r%20v/X?id=123", "http://example.com/r%20v/X"),
            ("https", "www.example.net:8080", "/?q=1", "https://www.example.net:8080/"),
            ("https", "a:443", "/", "https://a/"),
            ("http", "a:443", "/", "http://a:443/"),
        ] {
            let base = read.base_string(&original("GET", scheme, host, target));
            assert!(base.starts_with(&format!("GET&{}&", encoded(shown.as_bytes()))), "{base}");
        }
    }

    #[test]
    fn reserved_parameter_in_query_is_detected() {
        for (target, found) in [
            ("/", false),
            ("/?", false),
            ("/?a=oauth_nonce&oauthx=1&x=oauth_", false),
            ("/oauth_nonce", false),
            ("/?a=1&oauth_nonce=2", true),
            ("/?oauth_token", true),
            ("/?OAuth_x=1", true),
            ("/?%6fauth%5fnonce=1", true),
        ] {
            assert_eq!(
                OAuth1Parameters::has_reserved_in_query(&original("GET", "https", "a", target)),
                found,
                "{target}"
            );
        }
    }

    #[test]
    fn malformed_oauth1_header_is_refused() {
        let good = r#"oauth_consumer_key="a",oauth_signature_method="b",oauth_timestamp="12",oauth_nonce="n",oauth_signature="s""#;
        assert!(OAuth1Parameters::read(good).is_ok());
        assert!(OAuth1Parameters::read(&format!("realm=\"r\",{good},oauth_version=\"1.0\",oauth_token=\"\"")).is_ok());
        for more in ["x=\"y\"", "Realm=\"r\"", "OAUTH_VERSION=\"1.0\"", "oauth_x=\"y\"", "oauth%5Fx=\"y\"", "=\"y\""] {
            assert!(OAuth1Parameters::read(&format!("{good},{more}")).is_err(), "{more}");
        }
        for (from, to) in [
            ("oauth_consumer_key=\"a\",", ""),
            ("oauth_signature_method=\"b\",", ""),
            ("oauth_timestamp=\"12\",", ""),
            ("oauth_nonce=\"n\",", ""),
            (",oauth_signature=\"s\"", ""),
            ("\"12\"", "\"-12\""),
            ("\"12\"", "\"+12\""),
            ("\"12\"", "\"012\""),
            ("\"12\"", "\"\""),
            ("\"12\"", "\"99999999999999999999\""),
            ("\"n\"", "\"\""),
            ("\"n\"", "\"a%20b\""),
            ("\"n\"", "n"),
            ("\"n\"", "\"%\""),
            ("\"n\"", "\"%ff\""),
            ("oauth_nonce=", "oauth_nonce"),
            ("oauth_nonce=\"n\"", "oauth_nonce=\"n\",oauth_nonce=\"n\""),
            ("oauth_nonce=\"n\"", "oauth_nonce=\"n\",oauth_version=\"1.0a\""),
            ("oauth_nonce=\"n\"", "oauth_nonce=\"n\",oauth_token=\"t\""),
        ] {
            assert!(OAuth1Parameters::read(&good.replace(from, to)).is_err(), "{from} {to}");
        }
        assert!(OAuth1Parameters::read("").is_err());
    }
}
