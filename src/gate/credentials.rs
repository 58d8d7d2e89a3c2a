//! Reads the credential of a request, without verifying it: in `Authorization` (RFC 9110 §11.6.2) a bearer token (RFC
//! 6750 §2.1), an API key, Basic (RFC 7617) or OAuth 1.0 (RFC 5849 §3.5.1); in `X-API-Key`; or a message signature (RFC
//! 9421 §4). A request with two of them is rejected, because the API might use the other one. A browser sends its
//! session cookie with every request, and a certificate applies to every request of its connection. So these two count
//! only if there is no other credential, the certificate first.
//!
//! See also [`super::authenticate`], which verifies the credential.

use base64::Engine as _;

use super::decision::{Denial, Reason};
use super::headers::Headers;
use crate::domain::gate::CredentialKind;
use crate::domain::secret::Secret;

/// The maximum length in bytes.
const MAX_BYTES: usize = 16 * 1024;
const API_KEY_PREFIX: &str = "sgk_";

#[derive(Debug)]
pub enum PresentedCredential<'a> {
    Nothing,
    Bearer(&'a str),
    ApiKey {
        key: Secret,
        /// The username of Basic if the key is its password; may be empty.
        user: Option<String>,
    },
    Basic {
        user: String,
        password: Secret,
    },
    Signature,
    OAuth1(&'a str),
    /// A scheme that no API accepts.
    Other,
}

impl<'a> PresentedCredential<'a> {
    /// Reads the credential from the header fields.
    ///
    /// # Errors
    /// Returns a denial if there are two credentials, or one that cannot be parsed.
    pub fn read(fields: &Headers<'a>) -> Result<Self, Denial> {
        let once = |name: &'static str| {
            let value = fields.once(name).map_err(|_| malformed(format!("{name} is repeated, or is not ASCII.")))?;
            if value.is_some_and(|value| value.len() > MAX_BYTES) {
                return Err(malformed(format!("{name} is too long.")));
            }
            Ok(value)
        };
        let (authorization, key) = (once("authorization")?, once("x-api-key")?);
        let signed = match (fields.has("signature-input"), fields.has("signature")) {
            (false, false) => false,
            (true, true) => true,
            _ => return Err(malformed("Signature and Signature-Input go together.")),
        };
        match (authorization, key, signed) {
            (None, None, false) => Ok(Self::Nothing),
            (Some(header), None, false) => Self::parse_authorization(header),
            (None, Some(key), false) => Ok(Self::ApiKey { key: Secret::new(key.trim().to_owned()), user: None }),
            (None, None, true) => Ok(Self::Signature),
            _ => Err(Denial::new(Reason::TwoCredentials, "The request has two credentials; send one.")),
        }
    }

    /// Returns the kind of the credential; `None` if there is none or no API accepts it.
    #[must_use]
    pub const fn kind(&self) -> Option<CredentialKind> {
        match self {
            Self::Nothing | Self::Other => None,
            Self::Bearer(_) => Some(CredentialKind::Bearer),
            Self::ApiKey { user: None, .. } => Some(CredentialKind::ApiKey),
            Self::ApiKey { .. } | Self::Basic { .. } => Some(CredentialKind::Basic),
            Self::Signature => Some(CredentialKind::MessageSignature),
            Self::OAuth1(_) => Some(CredentialKind::Oauth1),
        }
    }

    fn parse_authorization(header: &'a str) -> Result<Self, Denial> {
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        let rest = rest.trim_matches(' ');
        match scheme.to_ascii_lowercase().as_str() {
            "" => Err(malformed("The Authorization header is empty.")),
            "bearer" => {
                // RFC 6750 §2.1: `b64token`.
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
                if rest.is_empty() || !rest.bytes().all(allowed) {
                    return Err(malformed("The Authorization header has no bearer token."));
                }
                if rest.starts_with(API_KEY_PREFIX) {
                    return Ok(Self::ApiKey { key: Secret::new(rest.to_owned()), user: None });
                }
                Ok(Self::Bearer(rest))
            }
            "basic" => Self::basic(rest).ok_or_else(|| malformed("The Basic credentials cannot be read.")),
            "oauth" => Ok(Self::OAuth1(rest)),
            _ => Ok(Self::Other),
        }
    }

    /// Parses Basic (RFC 7617 §2) in UTF-8. The form-encoding of credentials applies to the token endpoint only.
    fn basic(encoded: &str) -> Option<Self> {
        let bytes = zeroize::Zeroizing::new(base64::engine::general_purpose::STANDARD.decode(encoded).ok()?);
        let (user, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
        if user.chars().chain(password.chars()).any(char::is_control) {
            return None;
        }
        let (user, password) = (user.to_owned(), Secret::new(password.to_owned()));
        Some(if password.expose().starts_with(API_KEY_PREFIX) {
            Self::ApiKey { key: password, user: Some(user) }
        } else {
            Self::Basic { user, password }
        })
    }
}

fn malformed(text: impl Into<String>) -> Denial {
    Denial::new(Reason::MalformedCredential, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Result<String, Reason> {
        let fields = Headers(fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect());
        let shown = |presented| match presented {
            PresentedCredential::Nothing => "nothing".to_owned(),
            PresentedCredential::Bearer(token) => format!("bearer {token}"),
            PresentedCredential::ApiKey { key, user } => format!("key {} of {user:?}", key.expose()),
            PresentedCredential::Basic { user, password } => format!("basic {user} {}", password.expose()),
            PresentedCredential::Signature => "signature".to_owned(),
            PresentedCredential::OAuth1(rest) => format!("oauth {rest}"),
            PresentedCredential::Other => "other".to_owned(),
        };
        PresentedCredential::read(&fields).map(shown).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn single_credential_is_parsed() {
        let basic = |text: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
        for (header, shown) in [
            ("Bearer a.b-c_d~e+f/g=", "bearer a.b-c_d~e+f/g="),
            ("bEARER   a", "bearer a"),
            ("Bearer sgk_x", "key sgk_x of None"),
            (&basic("web:secret:with:colons"), "basic web secret:with:colons"),
            (&basic("web%3A:p%20w"), "basic web%3A p%20w"),
            (&basic("ä:ö"), "basic ä ö"),
            (&basic("alice:sgk_x"), "key sgk_x of Some(\"alice\")"),
            (&basic(":sgk_x"), "key sgk_x of Some(\"\")"),
            ("OAuth realm=\"x\"", "oauth realm=\"x\""),
            ("Negotiate abc", "other"),
        ] {
            assert_eq!(read(&[("authorization", header)]).as_deref(), Ok(shown), "{header}");
        }
        assert_eq!(read(&[("x-api-key", "sgk_x")]).as_deref(), Ok("key sgk_x of None"));
        assert_eq!(read(&[("signature", "a=:b:"), ("signature-input", "a=()")]).as_deref(), Ok("signature"));
        assert_eq!(read(&[("cookie", "a=b")]).as_deref(), Ok("nothing"));
        for header in
            ["", "Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Basic", "Basic ?", "Basic YQ==", "Bearer \u{e4}"]
        {
            assert_eq!(read(&[("authorization", header)]), Err(Reason::MalformedCredential), "{header}");
        }
        assert_eq!(read(&[("authorization", &basic("a:b\n"))]), Err(Reason::MalformedCredential));
        assert_eq!(
            read(&[("authorization", &format!("Bearer {}", "a".repeat(20_000)))]),
            Err(Reason::MalformedCredential)
        );
        for only in ["signature", "signature-input"] {
            assert_eq!(read(&[(only, "a=:b:")]), Err(Reason::MalformedCredential));
        }
    }

    #[test]
    fn two_credentials_are_refused() {
        let all = [
            ("authorization", "Bearer a"),
            ("x-api-key", "sgk_x"),
            ("signature", "a=:b:"),
            ("signature-input", "a=()"),
        ];
        for pair in [vec![all[0], all[1]], vec![all[0], all[2], all[3]], vec![all[1], all[2], all[3]], all.to_vec()] {
            assert_eq!(read(&pair), Err(Reason::TwoCredentials), "{pair:?}");
        }
        for twice in [all[0], all[1]] {
            assert_eq!(read(&[twice, twice]), Err(Reason::MalformedCredential));
        }
    }
}
