//! Client assertions (RFC 7523 §2.2 and §3, OpenID Connect Core §9: `client_secret_jwt`, `private_key_jwt`): a JWT by
//! which a client authenticates, accepted once across all nodes.
//!
//! See also: [`super::client_auth`], the other methods; `keys::client_jws`, which verifies the signature.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::Provider;
use super::authorize::request_object::names;
use super::client_keys::SignatureError;
use super::discovery::ENDPOINTS;
use super::error::OAuthError;
use crate::domain::algorithms::SigningAlg;
use crate::domain::client::Client;
use crate::domain::client_metadata::ClientAuthMethod;
use crate::domain::ids::ClientId;
use crate::domain::secret::Digest;
use crate::env::Timestamp;
use crate::keys::client_jws;
use crate::store::quotas::{self, QuotaKind};
use crate::store::{CLOCK_MARGIN_SECONDS, replay};

/// The `client_assertion_type` of a JWT (RFC 7523 §2.2).
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The tolerated clock difference in seconds.
pub(super) const SKEW: i64 = 10;
/// The maximum remaining lifetime of an assertion in seconds. An assertion that is valid for longer than a day amounts
/// to a password.
const MAX_LIFETIME: i64 = 86_400;
/// The same for clients that no administrator registered, of which a limited number of assertions is remembered.
const MAX_UNVETTED_LIFETIME: i64 = 3_600;
const MAX_JTI: usize = 256;

/// Returns the unverified subject of an assertion, to select the keys.
pub fn unverified_subject(assertion: &str) -> Option<ClientId> {
    client_jws::peek_claims(assertion)?.get("sub")?.as_str().and_then(|sub| ClientId::parse(sub).ok())
}

/// Returns the digest for replay protection. It is separate for each client, whatever the `jti` contains.
fn once(client: &ClientId, jti: &str) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"client assertion\0");
    hash.update(client.as_str());
    // No client id contains this byte.
    hash.update([0]);
    hash.update(jti);
    Digest(hash.finalize().into())
}

/// Returns when the assertion expires, if it is valid now (RFC 7523 §3 items 4 to 6).
pub fn good_until(claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, &'static str> {
    let now = now.seconds();
    let time = |name| claims.get(name).map(|value: &Value| value.as_f64().ok_or("a time is no number"));
    let exp = time("exp").transpose()?.ok_or("exp is missing")?;
    #[expect(clippy::cast_possible_truncation, reason = "a time that does not fit is out of any range that passes")]
    let exp = exp.floor() as i64;
    if exp <= now - SKEW {
        return Err("it has expired");
    }
    if exp > now + MAX_LIFETIME {
        return Err("it is good for longer than a day");
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds of this age of the world are exact in a double")]
    let latest = (now + SKEW) as f64;
    for name in ["nbf", "iat"] {
        if time(name).transpose()?.is_some_and(|at| at > latest) {
            return Err("it is from the future");
        }
    }
    Ok(Timestamp::from_seconds(exp))
}

impl Provider {
    /// Checks that `assertion` authenticates `client`. The error is the reason for the log.
    pub(super) async fn check_assertion(
        &self,
        client: &Client,
        assertion: &str,
        address: &str,
    ) -> super::error::Result<Result<(), &'static str>> {
        let registered = client.meta.token_endpoint_auth_signing_alg;
        let allowed = match (client.meta.token_endpoint_auth_method, registered) {
            (ClientAuthMethod::ClientSecretJwt, _) => vec![SigningAlg::HS256],
            (ClientAuthMethod::PrivateKeyJwt, Some(alg)) => vec![alg],
            (ClientAuthMethod::PrivateKeyJwt, None) => SigningAlg::ASYMMETRIC.to_vec(),
            _ => return Ok(Err("it is registered for another method")),
        };
        let claims = match self.verify_client_jws(client, assertion, &allowed).await {
            Ok(verified) if !verified.has_acceptable_typ(&["client-authentication+jwt"]) => {
                return Ok(Err("its typ is that of something else"));
            }
            Ok(verified) => verified.claims(),
            Err(SignatureError::Invalid(why)) => return Ok(Err(why)),
            Err(SignatureError::Unavailable(error)) => return Err(error),
        };
        let judged = claims
            .ok_or("its claims are no JSON object")
            .and_then(|claims| self.check_assertion_claims(client, &claims));
        let (jti, until) = match judged {
            Ok(once) => once,
            Err(why) => return Ok(Err(why)),
        };
        let digest = once(&client.id, &jti);
        let first = if client.is_quota_limited() {
            if until > self.env.now().plus_seconds(MAX_UNVETTED_LIFETIME + SKEW + 1) {
                return Ok(Err("it is good for longer than an hour"));
            }
            self.use_once_with_quota(digest, until, address).await?
        } else {
            self.store.use_once(digest, until).await?
        };
        Ok(if first { Ok(()) } else { Err("its jti was used before") })
    }

    /// Consumes an assertion of a client that no administrator registered. The number of such assertions that are
    /// remembered is limited.
    async fn use_once_with_quota(&self, digest: Digest, until: Timestamp, address: &str) -> super::error::Result<bool> {
        // The quota is charged for as long as the row is kept.
        let swept_from = until.plus_seconds(CLOCK_MARGIN_SECONDS);
        let counted = self.env.uuid();
        let entry = self.store.quota_entry(QuotaKind::ClientAssertion, counted, address, swept_from);
        let claim = self.store.write(move |tx| {
            Box::pin(async move {
                if !quotas::admit(tx, &entry).await? {
                    return Ok(None);
                }
                let first = replay::claim(tx, &digest, until).await?;
                if !first {
                    // The assertion was already used, so no new row needs the quota.
                    quotas::release(tx, counted).await?;
                }
                Ok(Some(first))
            })
        });
        let text = "Too many assertions of such clients came from this network. Try again in a minute.";
        claim.await?.ok_or_else(|| OAuthError::too_many(text))
    }

    /// Checks the claims (RFC 7523 §3) and returns the `jti` and until when it must not be used again.
    fn check_assertion_claims(
        &self,
        client: &Client,
        claims: &Map<String, Value>,
    ) -> Result<(String, Timestamp), &'static str> {
        let is_client = |name| claims.get(name).and_then(Value::as_str) == Some(client.id.as_str());
        if !is_client("iss") || !is_client("sub") {
            return Err("iss and sub are not both the client");
        }
        let audiences = [
            self.issuer.as_str().to_owned(),
            self.issuer.join(ENDPOINTS.token),
            // RFC 9126 §2: that endpoint also accepts its own address as the audience.
            self.issuer.join(ENDPOINTS.pushed_authorization),
        ];
        let aud = claims.get("aud").ok_or("aud is missing")?;
        if !audiences.iter().any(|audience| names(aud, audience)) {
            return Err("aud is neither the issuer nor the endpoint");
        }
        let until = good_until(claims, self.env.now())?;
        let jti = claims.get("jti").and_then(Value::as_str).filter(|jti| !jti.is_empty() && jti.len() <= MAX_JTI);
        let jti = jti.ok_or("jti is missing or too long")?;
        Ok((jti.to_owned(), until.plus_seconds(SKEW + 1)))
    }
}
