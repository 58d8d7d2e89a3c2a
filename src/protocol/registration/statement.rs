//! Software statements (RFC 7591 §2.3): metadata signed by a third party, accepted only from the issuers in the
//! settings.

use serde_json::{Map, Value};

use super::policy::Policy;
use crate::domain::algorithms::SigningAlg;
use crate::keys::client_jws;
use crate::keys::remote::KeySource;
use crate::outbound::UrlSource;
use crate::protocol::Provider;
use crate::protocol::client_keys::ClientKeysError;
use crate::protocol::error::{ErrorCode, OAuthError, Result};

impl Provider {
    /// Returns the claims of a currently valid statement.
    pub(super) async fn read_statement(&self, policy: &Policy, statement: &Value) -> Result<Map<String, Value>> {
        let invalid = |cause: &str| {
            OAuthError::new(ErrorCode::InvalidSoftwareStatement, "The software statement is not valid.")
                .with_cause(cause)
        };
        let token = statement.as_str().ok_or_else(|| invalid("it is no text"))?;
        let said = client_jws::peek_claims(token).ok_or_else(|| invalid("it is no signed JWT"))?;
        let issuer = said.get("iss").and_then(Value::as_str).unwrap_or_default();
        let Some(trusted) = policy.software_issuers.iter().find(|trusted| trusted.issuer == issuer) else {
            let text = "The software statement is of an issuer that is not trusted here.";
            return Err(OAuthError::new(ErrorCode::UnapprovedSoftwareStatement, text));
        };
        let header = client_jws::peek_header(token).unwrap_or_default();
        let kid = header.get("kid").and_then(Value::as_str);
        let url = trusted.jwks_uri.as_str();
        let source = KeySource { owner: "software statements", url, named_by: UrlSource::Administrator };
        let keys = self.published_keys(source, None, kid.into()).await.map_err(|error| match error {
            ClientKeysError::Unavailable(error) => error,
            ClientKeysError::Unusable(why) => invalid(&why),
        })?;
        let verified =
            client_jws::verify(token, &SigningAlg::ASYMMETRIC, &keys).map_err(|_| invalid("its signature"))?;
        let claims = verified.claims().ok_or_else(|| invalid("its claims are no JSON object"))?;
        let now = self.env.now().seconds();
        let at = |name: &str| claims.get(name).map(|value| value.as_i64().ok_or(())).transpose();
        match (at("nbf"), at("exp")) {
            (Err(()), _) | (_, Err(())) => Err(invalid("nbf or exp is no number")),
            (Ok(Some(nbf)), _) if nbf > now => Err(invalid("it is not good yet")),
            (_, Ok(Some(exp))) if exp <= now => Err(invalid("it has expired")),
            _ => Ok(claims),
        }
    }
}
