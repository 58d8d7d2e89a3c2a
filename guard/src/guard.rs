//! The guard of an API: whose tokens it takes, for which audience, and what else.

use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use jsonwebtoken::Algorithm;
use signet_signatures::Policy;

use crate::discovery::IssuerError;
use crate::keys::{Clock, Keys};
use crate::nonces::Nonces;
use crate::requirement::Requirement;
use crate::signed::{SignatureKeys, SignatureVerifier};
use crate::token::ALGORITHMS;

/// A body with a digest is read into memory.
const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;

/// A layer for tower. Cheap to clone; the copies share what is known of the issuer.
#[derive(Clone)]
pub struct Guard {
    pub(crate) settings: Arc<Settings>,
    pub(crate) required: Vec<Requirement>,
}

#[derive(Clone)]
pub(crate) struct Settings {
    pub keys: Arc<Keys>,
    pub audience: String,
    pub algorithms: Vec<Algorithm>,
    pub token_header: Option<HeaderName>,
    pub resource_metadata: Option<String>,
    pub signed: Option<SignatureVerifier>,
    pub body_limit: usize,
    pub clock: Clock,
}

/// A setting that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("the address of the API is scheme and authority: https://api.example.com")]
    Address,
    #[error("that is no name of a header")]
    HeaderName,
    #[error("an algorithm with a shared secret cannot be verified with published keys")]
    Algorithm,
}

impl Guard {
    /// `issuer` exactly as it stands in the tokens, `audience` as this API is named in them. Nothing is fetched yet: see
    /// [`Guard::ready`]. Until the issuer's keys are known, requests are refused with 503.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        let clock: Clock = Arc::new(system_time);
        let settings = Settings {
            keys: Arc::new(Keys::new(issuer.into(), None, Arc::clone(&clock))),
            audience: audience.into(),
            algorithms: ALGORITHMS.into(),
            token_header: None,
            resource_metadata: None,
            signed: None,
            body_limit: DEFAULT_BODY_LIMIT,
            clock,
        };
        Self { settings: Arc::new(settings), required: Vec::new() }
    }

    /// The same guard for routes that ask for more. Several are all needed.
    #[must_use]
    pub fn require(mut self, requirement: Requirement) -> Self {
        self.required.push(requirement);
        self
    }

    /// Fetches the issuer's keys, to find out at the start what is wrong with the settings.
    pub async fn ready(&self) -> Result<(), IssuerError> {
        self.settings.keys.refresh().await
    }

    /// Also takes a token from that header, before `Authorization` and signatures: from a gateway that puts one there.
    /// Signet's gate does, as `X-Gate-Token`.
    pub fn with_token_header(self, name: &str) -> Result<Self, SettingError> {
        let name = HeaderName::try_from(name).map_err(|_| SettingError::HeaderName)?;
        Ok(self.with(|settings| settings.token_header = Some(name)))
    }

    /// Fewer algorithms than ES256, RS256, PS256 and EdDSA.
    pub fn with_algorithms(self, algorithms: &[Algorithm]) -> Result<Self, SettingError> {
        if algorithms.iter().any(|algorithm| !ALGORITHMS.contains(algorithm)) {
            return Err(SettingError::Algorithm);
        }
        Ok(self.with(|settings| settings.algorithms = algorithms.into()))
    }

    /// Names the API's metadata in its challenges (RFC 9728 §5.1).
    #[must_use]
    pub fn with_resource_metadata(self, address: impl Into<String>) -> Self {
        self.with(|settings| settings.resource_metadata = Some(address.into()))
    }

    /// Bytes of a body that has a digest; 1 MiB unless told. Bodies without one are not read here.
    #[must_use]
    pub fn with_body_limit(self, bytes: usize) -> Self {
        self.with(|settings| settings.body_limit = bytes)
    }

    /// Also takes requests that are signed (RFC 9421) with a key that the API knows. `address` is scheme and authority as
    /// callers write them: it is not taken from the request, which may say anything.
    pub fn with_signatures(
        self,
        address: &str,
        keys: impl SignatureKeys,
        nonces: impl Nonces,
    ) -> Result<Self, SettingError> {
        let (scheme, authority) = address.trim_end_matches('/').split_once("://").ok_or(SettingError::Address)?;
        signet_signatures::Request::new("GET", scheme, authority, "/").map_err(|_| SettingError::Address)?;
        let (scheme, authority) = (scheme.to_owned(), authority.to_owned());
        let signed = SignatureVerifier {
            scheme,
            authority,
            policy: Policy::default(),
            keys: Arc::new(keys),
            nonces: Arc::new(nonces),
        };
        Ok(self.with(|settings| settings.signed = Some(signed)))
    }

    /// Seconds by which the time of a signature may differ from ours, either way; 300 unless told. To be called after
    /// [`Guard::with_signatures`].
    #[must_use]
    pub fn with_window(self, seconds: u32) -> Self {
        self.with(|settings| {
            if let Some(signed) = &mut settings.signed {
                signed.policy = Policy::within(seconds);
            }
        })
    }

    /// Another client for the issuer: one that trusts a certificate authority of one's own. It should not follow redirects.
    #[must_use]
    pub fn with_client(self, client: reqwest::Client) -> Self {
        self.with(|settings| settings.keys = Arc::new(settings.keys.anew(Some(client), None)))
    }

    /// Another clock, in seconds since 1970: for tests.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        let clock: Clock = Arc::new(clock);
        self.with(|settings| {
            settings.keys = Arc::new(settings.keys.anew(None, Some(Arc::clone(&clock))));
            settings.clock = clock;
        })
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this package runs in other people's programs, which have no clock of ours"
)]
fn system_time() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or_default()
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuer = self.settings.keys.issuer();
        let audience = &self.settings.audience;
        f.debug_struct("Guard")
            .field("issuer", &issuer)
            .field("audience", audience)
            .field("required", &self.required)
            .finish()
    }
}
