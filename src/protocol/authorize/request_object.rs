//! Resolves the parameters of an authorization request that are not in the query: they are in a signed request object,
//! by value or by reference (OpenID Connect Core §6, RFC 9101), or in a pushed request (RFC 9126 §4).
//!
//! Parameters in the request object take precedence over those in the query (OpenID Connect Core §6.1). For a pushed
//! request, and for a client that signs all its requests, the query is ignored (RFC 9101 §6.3).
//!
//! See also: [`super::pushed`], the endpoint for pushed requests; `keys::client_jws`, which verifies request objects.

use serde_json::{Map, Value};

use crate::domain::algorithms::SigningAlg;
use crate::domain::client::Client;
use crate::domain::secret::{Digest, SecretKind};
use crate::domain::version::{VersionedEntity, Versions};
use crate::keys::encryption;
use crate::outbound::Purpose;
use crate::protocol::Provider;
use crate::protocol::client_keys::SignatureError;
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::protocol::parameters::Parameters;
use crate::store::pushed_requests::{self, PushedRequest};
use crate::store::replay;

/// The prefix of a `request_uri` of this server, before the secret part (RFC 9126 §2.2).
pub const REQUEST_URI_PREFIX: &str = "urn:ietf:params:oauth:request_uri:";
/// The tolerated clock difference in seconds.
const CLOCK_SKEW_SECONDS: i64 = 10;

/// The effective parameters of a request.
pub struct ResolvedParameters {
    pub parameters: Parameters,
    /// The pushed request that the response consumes.
    pub pushed: Option<Digest>,
    /// Whether that pushed request has already been consumed.
    pub was_answered: bool,
    /// The versions of the client and the APIs for which a pushed request was accepted.
    pub versions: Option<Versions>,
}

fn bad_object(cause: impl Into<String>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequestObject, "The request object is not valid.").with_cause(cause)
}

fn bad_uri(text: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequestUri, text)
}

/// Returns the error for an unknown pushed request.
pub(super) fn unknown_pushed_request() -> OAuthError {
    bad_uri("The app’s pushed request has been used or has expired. Go back to the app and begin again.")
}

impl Provider {
    /// Returns the effective parameters of a request to the authorization endpoint.
    pub(super) async fn resolve(&self, outside: &Parameters, client: &Client) -> Result<ResolvedParameters> {
        if let Some(secret) = outside.one("request_uri")?.and_then(|uri| uri.strip_prefix(REQUEST_URI_PREFIX)) {
            if outside.one("request")?.is_some() {
                return Err(request_and_request_uri());
            }
            return self.load_pushed_request(secret, client).await;
        }
        if client.meta.require_pushed_authorization_requests {
            let text = "This client must push its requests (RFC 9126).";
            return Err(OAuthError::new(ErrorCode::InvalidRequest, text));
        }
        Ok(ResolvedParameters {
            parameters: self.apply_request_object(outside, client).await?,
            pushed: None,
            was_answered: false,
            versions: None,
        })
    }

    /// Returns the parameters, overridden by those of the request object if there is one.
    pub(super) async fn apply_request_object(&self, outside: &Parameters, client: &Client) -> Result<Parameters> {
        let object = match (outside.one("request")?, outside.one("request_uri")?) {
            (Some(_), Some(_)) => return Err(request_and_request_uri()),
            (Some(object), None) => object.to_owned(),
            (None, Some(uri)) => self.fetched(uri, client).await?,
            (None, None) if client.meta.require_signed_request_object => {
                let text = "This client must sign its requests (RFC 9101).";
                return Err(OAuthError::new(ErrorCode::InvalidRequest, text));
            }
            (None, None) => return Ok(outside.clone()),
        };
        let inside = self.inside(&object, outside, client).await?;
        if client.meta.require_signed_request_object {
            return Ok(inside.with("client_id", client.id.as_str()));
        }
        Ok(outside.without(&["request", "request_uri"]).overridden_by(&inside))
    }

    async fn load_pushed_request(&self, secret: &str, client: &Client) -> Result<ResolvedParameters> {
        let digest = SecretKind::PushedRequest.digest(secret);
        let row = pushed_requests::by_digest(&self.store, &digest).await?;
        let version = |row: &PushedRequest| row.versions.get(&VersionedEntity::Client(client.id.clone()));
        let of_client = |row: &PushedRequest| row.client == client.id && version(row) == Some(client.version);
        let row = row.filter(of_client).ok_or_else(unknown_pushed_request)?;
        let was_answered = replay::is_claimed(self.store.read(), &digest).await?;
        let parameters = Parameters::parse(row.parameters.as_bytes())?;
        Ok(ResolvedParameters { parameters, pushed: Some(digest), was_answered, versions: Some(row.versions) })
    }

    /// Fetches a request object (RFC 9101 §5.2) with the guarded HTTP client. The address must exactly match one that
    /// the client has registered (OpenID Connect Registration §2: a fragment is the hash of the content, and part of
    /// the comparison).
    async fn fetched(&self, uri: &str, client: &Client) -> Result<String> {
        if !client.meta.request_uris.iter().any(|known| known.as_str() == uri) {
            return Err(bad_uri("request_uri is not one of the addresses that this client has registered."));
        }
        let outbound = self.outbound.for_purpose(Purpose::RequestObjects).named_by(client.named_by());
        let fetched = outbound.get(uri, "application/oauth-authz-req+jwt, application/jwt").await;
        let fetched = fetched.map_err(|error| {
            let refusal = if error.is_temporary() {
                let text = "The request object cannot be fetched from request_uri now. Try again in a moment.";
                OAuthError::new(ErrorCode::TemporarilyUnavailable, text)
            } else {
                bad_uri("The request object could not be fetched from request_uri.")
            };
            refusal.with_cause(error.to_string())
        })?;
        let text = String::from_utf8(fetched.body).map_err(|_| bad_object("what was fetched is no text"))?;
        Ok(text.trim().to_owned())
    }

    /// Returns the parameters in a request object after it is decrypted and verified, and its audience is checked.
    async fn inside(&self, object: &str, outside: &Parameters, client: &Client) -> Result<Parameters> {
        let decrypted;
        let signed = if encryption::is_encrypted(object) {
            let plain =
                encryption::decrypt(&self.keys.current(), object).and_then(|plain| String::from_utf8(plain).ok());
            decrypted = plain.ok_or_else(|| bad_object("no key of ours decrypts it"))?;
            decrypted.as_str()
        } else {
            object
        };
        let registered = client.meta.request_object_signing_alg;
        let allowed = registered.map_or_else(|| SigningAlg::ASYMMETRIC.to_vec(), |alg| vec![alg]);
        let verified = self.verify_client_jws(client, signed, &allowed).await.map_err(|error| match error {
            SignatureError::Invalid(why) => bad_object(why),
            SignatureError::Unavailable(error) => error,
        })?;
        if !verified.has_acceptable_typ(&["oauth-authz-req+jwt"]) {
            return Err(bad_object("its typ is that of something else"));
        }
        let claims = verified.claims().ok_or_else(|| bad_object("its claims are no JSON object"))?;
        self.check_object(&claims, outside, client).map_err(bad_object)?;
        parameters(&claims)
    }

    /// Checks the registered claims of a request object (RFC 9101 §4 and §6.3, OpenID Connect Core §6.1).
    fn check_object(
        &self,
        claims: &Map<String, Value>,
        outside: &Parameters,
        client: &Client,
    ) -> std::result::Result<(), &'static str> {
        let now = self.env.now().seconds();
        let text = |name| claims.get(name).map(|value: &Value| value.as_str().unwrap_or_default());
        // RFC 9101 §10.8: a client assertion must not be accepted as a request object.
        if text("sub").is_some_and(|sub| sub == client.id.as_str()) {
            return Err("it is a client assertion");
        }
        if text("iss").is_some_and(|iss| iss != client.id.as_str()) {
            return Err("iss is not the client");
        }
        if claims.get("aud").is_some_and(|aud| !names(aud, self.issuer.as_str())) {
            return Err("aud is not this server");
        }
        // RFC 7519 §2, NumericDate: a fraction is allowed.
        let time = |name| claims.get(name).map(|value: &Value| value.as_f64().ok_or("a time is no number"));
        #[expect(clippy::cast_precision_loss, reason = "seconds of this age of the world are exact in a double")]
        let at = |seconds: i64| seconds as f64;
        if time("exp").transpose()?.is_some_and(|exp| exp <= at(now - CLOCK_SKEW_SECONDS)) {
            return Err("it has expired");
        }
        if time("nbf").transpose()?.is_some_and(|nbf| nbf > at(now + CLOCK_SKEW_SECONDS)) {
            return Err("it is not valid yet");
        }
        if claims.contains_key("request") || claims.contains_key("request_uri") {
            return Err("it holds another request object");
        }
        if text("client_id").is_some_and(|id| id != client.id.as_str()) {
            return Err("client_id inside is another than outside");
        }
        let outer = outside.one("response_type").ok().flatten();
        if outer.zip(text("response_type")).is_some_and(|(outer, inner)| outer != inner) {
            return Err("response_type inside is another than outside");
        }
        Ok(())
    }
}

fn request_and_request_uri() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, "request and request_uri stand side by side.")
}

/// Returns whether `aud` is or contains that value (RFC 7519 §4.1.3).
pub(in crate::protocol) fn names(aud: &Value, value: &str) -> bool {
    match aud {
        Value::String(one) => one == value,
        Value::Array(many) => many.iter().any(|one| one.as_str() == Some(value)),
        _ => false,
    }
}

/// The registered claims of a JWT (RFC 7519 §4.1). They are checked and are not request parameters.
const REGISTERED_CLAIMS: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];
/// The parameters that this server reads and that are never lists.
pub(super) const SINGLE_VALUED: [&str; 19] = [
    "acr_values",
    "claims",
    "claims_locales",
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "display",
    "id_token_hint",
    "login_hint",
    "max_age",
    "nonce",
    "prompt",
    "redirect_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
    "ui_locales",
    "registration",
];

/// Returns the claims as parameters: strings unchanged, numbers and booleans as text, `claims` as JSON, and every
/// `resource` of a list (RFC 9101 §4). A list under an unknown name is ignored, like any unknown parameter.
pub fn parameters(claims: &Map<String, Value>) -> Result<Parameters> {
    let mut pairs = Vec::new();
    for (name, value) in claims.iter().filter(|(name, _)| !REGISTERED_CLAIMS.contains(&name.as_str())) {
        let mut push = |value: String| pairs.push((name.clone(), value));
        match value {
            Value::Null => {}
            Value::String(text) => push(text.clone()),
            Value::Number(_) | Value::Bool(_) => push(value.to_string()),
            Value::Object(_) => push(value.to_string()),
            Value::Array(values) if name == "resource" => {
                values.iter().filter_map(Value::as_str).for_each(|value| push(value.to_owned()));
            }
            Value::Array(_) if SINGLE_VALUED.contains(&name.as_str()) => {
                return Err(bad_object(format!("{name} is a list")));
            }
            Value::Array(_) => {}
        }
    }
    Parameters::of(pairs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::parameters;

    #[test]
    fn claims_become_parameters() {
        let claims = json!({ "scope": "openid", "max_age": 10, "claims": { "userinfo": null }, "state": "a b",
            "resource": ["https://a.example", "https://b.example"], "nonce": null });
        let read = parameters(claims.as_object().unwrap()).unwrap();
        assert_eq!(read.one("max_age").unwrap(), Some("10"));
        assert_eq!(read.one("claims").unwrap(), Some("{\"userinfo\":null}"));
        assert_eq!(read.all("resource").count(), 2);
        assert_eq!(read.one("nonce").unwrap(), None);
        let own =
            json!({ "aud": ["https://a.example", "https://b.example"], "exp": 1.5, "authorization_details": [1] });
        assert_eq!(parameters(own.as_object().unwrap()).unwrap().all("aud").count(), 0);
        assert!(parameters(json!({ "scope": ["openid"] }).as_object().unwrap()).is_err());
        assert!(parameters(json!({ "state": "a\u{0}" }).as_object().unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn any_object_is_read_or_refused(text in "\\{(\"[a-z]{1,4}\":(1|true|\"x\"|\\[\\]|\\{\\}|null),?){0,4}\\}") {
            if let Ok(Value::Object(claims)) = serde_json::from_str(&text) {
                parameters(&claims).ok();
            }
        }
    }
}
