//! The JWT bearer grant (RFC 7523 §2.1 and §3): a workload whose platform issues tokens for it (a CI job, a pod)
//! presents such a token and gets an access token of its own.
//!
//! The client's `jwt_bearer` names the trusted issuers. The client gets what client credentials would get it, and no
//! refresh token, since it can repeat the request.
//!
//! See also: `keys::remote`, the issuers' keys; [`crate::protocol::client_assertion`], where a client signs its own
//! assertion.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{TokenRequest, TokenResponse};
use crate::domain::algorithms::SigningAlg;
use crate::domain::client::Client;
use crate::domain::client_metadata::TrustedIssuer;
use crate::domain::secret::Digest;
use crate::keys::client_jws::{self, JwsError, VerifiedJws};
use crate::keys::remote::KeySource;
use crate::protocol::Provider;
use crate::protocol::authorize::request_object::names;
use crate::protocol::client_assertion::{SKEW, good_until};
use crate::protocol::client_keys::ClientKeysError;
use crate::protocol::discovery::ENDPOINTS;
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::store::replay;

/// Returns the error for an invalid assertion (RFC 7523 §3.1). The cause goes to the log only: it would help attackers
/// to guess what an issuer's tokens contain.
fn invalid_assertion(cause: impl Into<String>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, "The assertion is none that this client is known by.").with_cause(cause)
}

impl Provider {
    pub(super) async fn redeem_jwt_assertion(
        &self,
        asking: TokenRequest<'_>,
        assertion: &str,
    ) -> Result<TokenResponse> {
        let client = asking.client;
        let now = self.env.now();
        let (trusted, verified) = self.vouched_for(client, assertion).await?;
        let claims = verified.claims().ok_or_else(|| invalid_assertion("its claims are no JSON object"))?;
        let ends = good_until(&claims, now).map_err(invalid_assertion)?;
        let (authorization, plan) = self.authorize_client(&asking).await?;
        // RFC 7521 §4.1: the access token does not outlive the assertion.
        let plan = plan.within(ends.plus_seconds(SKEW), now);
        if plan.lifetime < 1 {
            return Err(invalid_assertion("it ends in less than a second"));
        }
        let opaque = if trusted.reusable {
            self.commit_opaque_token(&plan, &authorization).await?
        } else {
            let once = once(trusted, &claims, &verified.payload);
            let until = ends.plus_seconds(SKEW + 1);
            let (provider, plan, authorization) = (self.clone(), plan.clone(), authorization.clone());
            let write = self.store.write(move |tx| {
                Box::pin(async move {
                    if !replay::claim(tx, &once, until).await? {
                        return Ok(Err(invalid_assertion("it was used before")));
                    }
                    Ok(Ok(provider.insert_opaque_token(tx, &plan, &authorization).await?))
                })
            });
            write.await??
        };
        self.mint_access_token(client, &authorization, &plan, now, opaque)
    }

    /// Returns the trusted issuer of the client that issued this token, and the verified token.
    async fn vouched_for<'c>(&self, client: &'c Client, assertion: &str) -> Result<(&'c TrustedIssuer, VerifiedJws)> {
        // The claims are read unverified to select the keys; the same bytes are verified below.
        let said = client_jws::peek_claims(assertion).ok_or_else(|| invalid_assertion("it is no signed JWT"))?;
        let trusted = client.meta.jwt_bearer.iter().find(|trusted| self.is_of(trusted, &said));
        let trusted = trusted.ok_or_else(|| invalid_assertion("no trusted issuer fits its iss, sub and aud"))?;
        let header = client_jws::peek_header(assertion).unwrap_or_default();
        let kid = header.get("kid").and_then(Value::as_str);
        let (owner, url, named_by) = (client.id.as_str(), trusted.jwks_uri.as_str(), client.named_by());
        let source = KeySource { owner, url, named_by };
        let keys = self.published_keys(source, Some(&client.id), kid.into()).await.map_err(|error| match error {
            ClientKeysError::Unavailable(error) => error,
            ClientKeysError::Unusable(why) => invalid_assertion(why),
        })?;
        let verified = client_jws::verify(assertion, &SigningAlg::ASYMMETRIC, &keys).map_err(|error| match error {
            JwsError::UnknownKey => invalid_assertion(format!("no key of {} fits", trusted.issuer)),
            JwsError::Invalid(why) => invalid_assertion(why),
        })?;
        Ok((trusted, verified))
    }

    /// Returns whether the issuer and the subject are the trusted ones and this server is the audience (RFC 7523 §3
    /// items 1 to 3).
    fn is_of(&self, trusted: &TrustedIssuer, claims: &Map<String, Value>) -> bool {
        let text = |name| claims.get(name).and_then(Value::as_str);
        let ours = [self.issuer.as_str().to_owned(), self.issuer.join(ENDPOINTS.token)];
        let audiences = ours.iter().chain(&trusted.audience);
        text("iss") == Some(&trusted.issuer)
            && text("sub").is_some_and(|subject| trusted.allows_subject(subject))
            // RFC 7519 §4.1.7: `jti` must be a string if it is present.
            && claims.get("jti").is_none_or(Value::is_string)
            && claims.get("aud").is_some_and(|aud| audiences.into_iter().any(|audience| names(aud, audience)))
    }
}

/// Returns the digest for the replay protection of a one-time token: of the issuer's `jti` or, without one, of the
/// whole payload.
fn once(trusted: &TrustedIssuer, claims: &Map<String, Value>, payload: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"assertion of\0");
    hash.update(Sha256::digest(&trusted.issuer));
    match claims.get("jti").and_then(Value::as_str) {
        Some(jti) => hash.update([b"jti\0", jti.as_bytes()].concat()),
        None => hash.update([b"all\0", payload].concat()),
    }
    Digest(hash.finalize().into())
}
