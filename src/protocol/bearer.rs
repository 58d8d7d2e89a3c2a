//! Bearer tokens of a request (RFC 6750 §2.1 and §2.2; never in the URL, RFC 9700 §4.3.2), and the error if there is
//! none.

use super::Provider;
use super::access_token::VerifiedToken;
use super::error::{ErrorCode, OAuthError, Result};
use super::parameters::Parameters;
use crate::keys::certificate::ClientCertificate;

/// Returns the token of the `Authorization` header or of the form body; `None` if there is neither.
pub fn token<'a>(authorization: Option<&'a str>, body: &'a Parameters) -> Result<Option<&'a str>> {
    let invalid = |text: &'static str| OAuthError::new(ErrorCode::InvalidRequest, text);
    let in_header = match authorization {
        None => None,
        Some(header) => match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
                Some(token.trim())
            }
            _ => return Err(invalid("The Authorization header has no bearer token.")),
        },
    };
    match (in_header, body.one("access_token")?) {
        (Some(_), Some(_)) => Err(invalid("The token is presented in two ways at once.")),
        (header, form) => Ok(header.or(form)),
    }
}

impl Provider {
    /// Verifies a token presented to an endpoint of this server, and that the request has the certificate it is bound
    /// to.
    pub async fn bearer(&self, token: &str, certificate: Option<&ClientCertificate>) -> Result<VerifiedToken> {
        self.check_revocations_fresh().await?;
        let verified = self.verify_access_token(token).await?;
        let verified = verified.filter(|token| token.is_confirmed_by(certificate));
        // OpenID Connect Core §5.3.1: UserInfo accepts access tokens of sign-ins with the scope `openid`.
        let is_for_us = |token: &VerifiedToken| {
            token.audience.has(self.issuer.as_str()) || token.authorization.permissions.has_openid()
        };
        verified.filter(is_for_us).ok_or_else(|| {
            OAuthError::new(
                ErrorCode::InvalidToken,
                "The access token is unknown, expired, revoked or for something else.",
            )
        })
    }
}
