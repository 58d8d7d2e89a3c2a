//! The client certificate of the TLS connection, as forwarded by the proxy that terminated it. It is read from the
//! header that the settings name, and only from trusted proxies: certificates are public, so anyone could send one in
//! a header.
//!
//! Three formats are read: RFC 9440 §2.2 (`:base64:`, Caddy), percent-encoded PEM (nginx, and the `Cert` element of
//! Envoy's `X-Forwarded-Client-Cert`), and plain base64 (Traefik).

use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::client_address::from_proxy;
use crate::config::Config;
use crate::keys::certificate::ClientCertificate;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Returns the client certificate, or `None` if the connection had none, the setting is empty, or the peer is not a
/// trusted proxy.
///
/// # Errors
/// Returns an error text if the header is repeated or holds no certificate.
pub fn client_certificate(parts: &Parts, config: &Config) -> Result<Option<ClientCertificate>, &'static str> {
    let believed = || from_proxy(parts, &config.trusted_proxies);
    let Some(name) = config.client_certificate_header.as_ref().filter(|_| believed()) else { return Ok(None) };
    let mut all = parts.headers.get_all(name.as_str()).iter();
    let first = all.next();
    if all.next().is_some() {
        return Err("The header of the client certificate is repeated.");
    }
    let Some(text) = first.map(|value| value.to_str().unwrap_or("?").trim()) else { return Ok(None) };
    // RFC 8941 §3.3.5: an empty byte sequence. Caddy sends it if there is no certificate.
    if matches!(text, "" | "::") {
        return Ok(None);
    }
    read(text).map(Some).ok_or("The client certificate that the proxy handed on cannot be read.")
}

fn read(text: &str) -> Option<ClientCertificate> {
    if let Some(item) = text.strip_prefix(':') {
        return der(item.strip_suffix(':')?);
    }
    let text = if text.contains(';') { certificate_in_xfcc(text)? } else { text };
    let text = percent_decode_str(text).decode_utf8().ok()?;
    match text.trim_start().strip_prefix(BEGIN) {
        Some(rest) => der(rest.split_once(END)?.0),
        // The certificates of the issuers may follow.
        None => der(text.split(',').next().unwrap_or_default()),
    }
}

/// Returns the certificate in the last element of Envoy's list, which the nearest proxy wrote. Returns `None` if that
/// element has no certificate.
fn certificate_in_xfcc(text: &str) -> Option<&str> {
    let last = split_unquoted(text, ',').pop()?;
    let member = split_unquoted(last, ';').into_iter().find_map(|pair| pair.trim().strip_prefix("Cert="));
    member.map(|value| value.trim_matches('"'))
}

/// Splits `text` at each `at` outside of quotes. The text in quotes is the certificate's subject, which its owner may
/// have chosen.
fn split_unquoted(text: &str, at: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let part = |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        c == at && !quoted
    };
    text.split(part).collect()
}

fn der(base64: &str) -> Option<ClientCertificate> {
    let kept: String = base64.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(kept).ok().filter(|der| !der.is_empty())?;
    Some(ClientCertificate::from_der(der))
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    use super::*;
    use crate::domain::certificate::Thumbprint;

    #[test]
    fn certificate_headers_of_all_proxies_are_read() {
        let bytes: Vec<u8> = (0..200).collect();
        let base64 = STANDARD.encode(&bytes);
        let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem = format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"));
        let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let chain = format!("{base64},{}", STANDARD.encode(b"its issuer"));
        for text in [
            format!(":{base64}:"),
            escaped(&pem),
            escaped(&format!("{pem}{BEGIN}\nAAAA\n{END}\n")),
            escaped(&base64),
            escaped(&chain),
            chain,
            format!("Hash=ab;Cert=\"{}\";Subject=\"\";URI=", escaped(&pem)),
            format!("Hash=cd;Cert=\"AA\",Hash=ab;Cert=\"{}\"", escaped(&pem)),
            format!("Hash=ab;Cert=\"{}\";Subject=\"CN=a,Cert=AAAA;O=\\\",Hash=b;Cert=AAAA\"", escaped(&pem)),
        ] {
            let read = read(&text).map(|certificate| certificate.thumbprint);
            assert_eq!(read, Some(Thumbprint::from_der(&bytes)), "{text}");
        }
        for text in [
            ":",
            ":AAAA",
            ":AA AA:=",
            "?",
            "%ff%fe",
            "AAA",
            "Hash=ab;Subject=\"CN=a\"",
            "Hash=ab;Subject=\"CN=a,Hash=b;Cert=AAAA;O=b\"",
            &escaped(BEGIN),
            &escaped(&format!("{BEGIN}\n?\n{END}")),
            &format!("Hash=ab;Cert=\"{}\",Hash=cd", escaped(&pem)),
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
