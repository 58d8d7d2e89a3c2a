//! PKCE (RFC 7636), S256 only (RFC 9700 §2.1.1: with `plain`, the authorization request discloses the verifier).

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::error::{ErrorCode, OAuthError, Result};
use super::parameters::Parameters;
use crate::domain::authorization_code::CodeChallenge;
use crate::domain::secret::base64url;

/// Returns the challenge of an authorization request. With `required`, a missing challenge is an error.
pub fn challenge(parameters: &Parameters, required: bool) -> Result<Option<CodeChallenge>> {
    let invalid = |text: &'static str| OAuthError::new(ErrorCode::InvalidRequest, text);
    let method = parameters.one("code_challenge_method")?;
    match (parameters.one("code_challenge")?, method) {
        // §4.2: the base64url encoding of a SHA-256 digest has 43 characters.
        (Some(challenge), Some("S256")) => {
            let valid =
                challenge.len() == 43 && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            valid
                .then(|| Some(CodeChallenge(challenge.to_owned())))
                .ok_or_else(|| invalid("code_challenge is not the base64url of a SHA-256."))
        }
        // §4.3: a missing method means `plain`.
        (Some(_), _) => Err(invalid("code_challenge_method must be S256.")),
        (None, Some(_)) => Err(invalid("code_challenge_method came without code_challenge.")),
        (None, None) if required => Err(invalid("code_challenge is missing: this client must use PKCE.")),
        (None, None) => Ok(None),
    }
}

/// Verifies the code verifier (§4.6). A verifier without a challenge is an error too: it indicates a downgrade (RFC
/// 9700 §4.8.2).
pub fn verify(challenge: Option<&CodeChallenge>, verifier: Option<&str>) -> Result<()> {
    let refused = |text: &'static str| Err(OAuthError::new(ErrorCode::InvalidGrant, text));
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (None, Some(_)) => refused("code_verifier came although the authorization request had no code_challenge."),
        (Some(_), None) => refused("code_verifier is missing."),
        (Some(challenge), Some(verifier)) => {
            let valid = (43..=128).contains(&verifier.len())
                && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
            let computed = base64url(&Sha256::digest(verifier.as_bytes()));
            if valid && bool::from(computed.as_bytes().ct_eq(challenge.0.as_bytes())) {
                Ok(())
            } else {
                refused("code_verifier does not match.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{challenge, verify};
    use crate::domain::authorization_code::CodeChallenge;
    use crate::protocol::parameters::Parameters;

    /// The verifier of RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    /// T7: a parameter missing, empty, repeated, or with the method `plain`.
    #[test]
    fn partial_or_plain_challenge_is_refused() {
        let both = format!("code_challenge={CHALLENGE}&code_challenge_method=S256");
        for (query, public, confidential) in [
            (both.clone(), true, true),
            (String::new(), false, true),
            (format!("code_challenge={CHALLENGE}"), false, false),
            (format!("code_challenge={CHALLENGE}&code_challenge_method="), false, false),
            (format!("code_challenge={CHALLENGE}&code_challenge_method=plain"), false, false),
            (format!("code_challenge={CHALLENGE}&code_challenge_method=s256"), false, false),
            ("code_challenge_method=S256".to_owned(), false, false),
            ("code_challenge=&code_challenge_method=S256".to_owned(), false, false),
            (format!("{both}&code_challenge={CHALLENGE}"), false, false),
            (format!("{both}&code_challenge_method=S256"), false, false),
            (format!("code_challenge={CHALLENGE}=&code_challenge_method=S256"), false, false),
        ] {
            let parameters = Parameters::parse(query.as_bytes()).unwrap();
            assert_eq!(challenge(&parameters, true).is_ok(), public, "public: {query}");
            assert_eq!(challenge(&parameters, false).is_ok(), confidential, "confidential: {query}");
        }
    }

    #[test]
    fn verifier_must_match_its_challenge() {
        let kept = CodeChallenge(CHALLENGE.to_owned());
        let plain = CodeChallenge(VERIFIER.to_owned());
        for (challenge, verifier, fits) in [
            (Some(&kept), Some(VERIFIER), true),
            (None, None, true),
            (Some(&kept), None, false),
            (None, Some(VERIFIER), false),
            (Some(&kept), Some(CHALLENGE), false),
            (Some(&plain), Some(VERIFIER), false),
            (Some(&kept), Some(""), false),
            (Some(&kept), VERIFIER.get(..42), false),
            (Some(&kept), Some(&VERIFIER.to_lowercase()), false),
        ] {
            assert_eq!(verify(challenge, verifier).is_ok(), fits, "{verifier:?}");
        }
    }
}
