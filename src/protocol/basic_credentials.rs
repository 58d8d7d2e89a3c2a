//! Basic credentials of clients (RFC 7617), as the token endpoint reads them.
//!
//! RFC 6749 §2.3.1 form-encodes `client_id` and `client_secret` before they are joined. Much client software joins them
//! without encoding, and `client_id` may be a URL, which contains a colon. So the header may have several readings, and
//! the caller ([`super::client_auth`]) tries each. Every reading needs its whole secret to be correct.

use base64::Engine as _;

use crate::domain::ids::ClientId;
use crate::domain::secret::Secret;

/// A client id and the secret sent with it.
#[derive(Debug)]
pub struct ClientSecret {
    pub client: ClientId,
    pub secret: Secret,
}

/// Returns every reading of the header, the one of RFC 6749 §2.3.1 first; `None` if it does not contain Basic
/// credentials.
///
/// There are at most four: split at the first or the last colon, with the secret decoded or unchanged. There are none
/// if no text before a colon is a valid `client_id`. A `client_id` is always decoded: it has no character that decoding
/// would change.
pub fn readings(header: &str) -> Option<Vec<ClientSecret>> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = zeroize::Zeroizing::new(String::from_utf8(bytes).ok()?);
    let mut readings: Vec<ClientSecret> = Vec::new();
    for (client, secret) in [text.split_once(':')?, text.rsplit_once(':')?] {
        let Some(client) = form_decoded(client).and_then(|client| ClientId::parse(&client).ok()) else { continue };
        let as_it_is = Some(Secret::new(secret.to_owned()));
        for secret in [form_decoded(secret).map(Secret::new), as_it_is].into_iter().flatten() {
            let is_known = |known: &ClientSecret| known.client == client && known.secret.expose() == secret.expose();
            if !readings.iter().any(is_known) {
                readings.push(ClientSecret { client: client.clone(), secret });
            }
        }
    }
    Some(readings)
}

fn form_decoded(text: &str) -> Option<String> {
    // An encoded value contains no bare `&` or `=`. Without them the form parser sees one name without a value.
    if text.contains(['&', '=']) {
        return Some(text.to_owned());
    }
    let (name, _) = url::form_urlencoded::parse(text.as_bytes()).next().unwrap_or_default();
    (!name.contains('\u{fffd}')).then(|| name.into_owned())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use proptest::prelude::*;

    use super::readings;

    fn read(text: &str) -> Vec<(String, String)> {
        let header = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
        let pairs = readings(&header).unwrap().into_iter();
        pairs.map(|pair| (pair.client.to_string(), pair.secret.expose().to_owned())).collect()
    }

    #[test]
    fn every_reading_of_the_header_is_returned_once() {
        for (text, pairs) in [
            ("web:secret", vec![("web", "secret")]),
            ("web:a%2Bb", vec![("web", "a+b"), ("web", "a%2Bb")]),
            ("web:a+b", vec![("web", "a b"), ("web", "a+b")]),
            ("web:a+b=", vec![("web", "a+b=")]),
            ("web:%ff", vec![("web", "%ff")]),
            ("https%3A%2F%2Fa.example:s", vec![("https://a.example", "s")]),
            ("https://a.example:s", vec![("https", "//a.example:s"), ("https://a.example", "s")]),
            ("a:b:c%2B", vec![("a", "b:c+"), ("a", "b:c%2B"), ("a:b", "c+"), ("a:b", "c%2B")]),
            ("a b:s", vec![]),
        ] {
            let pairs: Vec<_> = pairs.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
            assert_eq!(read(text), pairs, "{text}");
        }
    }

    proptest! {
        #[test]
        fn encoded_and_raw_credentials_are_among_the_readings(client in "[a-z:/.~-]{3,20}", secret in "[!-~]{1,40}") {
            let pair = (client.clone(), secret.clone());
            let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            prop_assert_eq!(&read(&format!("{}:{}", encode(&client), encode(&secret)))[0], &pair);
            let is_plain = !client.contains(':') || !secret.contains(':');
            let raw = read(&format!("{client}:{secret}"));
            prop_assert!(!is_plain || raw.contains(&pair));
            prop_assert!(raw.len() <= 4);
        }

        #[test]
        fn any_header_is_read_or_refused(header in ".{0,60}") {
            readings(&header);
        }
    }
}
