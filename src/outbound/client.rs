//! The client for URLs that untrusted parties name. Such a request must not reach what only this machine can
//! reach, and must not exhaust it: https to the public internet only (see `super::resolve`), no redirects, no
//! proxy, no cookies, no decompression, a short timeout, a size limit, and few concurrent requests in total and
//! to one host (`super::budget`).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Certificate, Client, ClientBuilder, Response, redirect};

use super::budget::{Purpose, RequestBudgets, UrlSource};
use super::dns::DnsResolver;
use super::resolve::{AddressPolicy, PolicyResolver, Target};
use super::{authorities, cache_control, causes};
use crate::config::Config;
use crate::domain::printable::bytes_without_bom;

/// The timeout for everything: waiting for a slot, resolving the name, connecting, sending and reading.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum length of a connection error in the log.
const MAX_ERROR_LENGTH: usize = 200;

/// Why nothing was fetched. It names the violated rule, and never contains data from the response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    #[error("that is no URL with a host")]
    NotAUrl,
    #[error("only https is spoken there (outbound.allow makes exceptions)")]
    NotHttps,
    #[error("the URL has a user name or password in it")]
    Userinfo,
    #[error("the host has no public address (outbound.allow makes exceptions)")]
    Address,
    #[error("the host name is unknown")]
    UnknownHost,
    #[error("the name servers have no answer for the host: {0}")]
    Lookup(String),
    #[error("the host cannot be reached: {0}")]
    Unreachable(String),
    #[error("the answer took too long")]
    Slow,
    #[error("too many requests wait for hosts that are slow")]
    Busy,
    #[error("the answer has the status {0}")]
    Status(u16),
    #[error("the answer is too large")]
    TooLarge,
    #[error("the answer is packed, which was not asked for")]
    Packed,
    #[error("no TLS client can be made: {0}")]
    Client(String),
}

impl OutboundError {
    /// Returns whether the same request may succeed in a moment, because neither the URL nor the response is at
    /// fault.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::UnknownHost
            | Self::Lookup(_)
            | Self::Unreachable(_)
            | Self::Slow
            | Self::Busy
            | Self::Client(_)
            | Self::Status(429 | 500..) => true,
            Self::NotAUrl
            | Self::NotHttps
            | Self::Userinfo
            | Self::Address
            | Self::Status(_)
            | Self::TooLarge
            | Self::Packed => false,
        }
    }
}

/// A response.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub content_type: Option<String>,
    pub body: Vec<u8>,
    /// The seconds for which the response is fresh, if it says so (RFC 9111); 0 if it must not be cached.
    pub max_age: Option<i64>,
}

/// The client for one purpose and one URL source. Cheap to clone.
#[derive(Clone)]
pub struct OutboundClient {
    inner: Arc<OutboundInner>,
    purpose: Purpose,
    named_by: UrlSource,
    patience: Duration,
}

struct OutboundInner {
    rules: AddressPolicy,
    authorities: Vec<Certificate>,
    budgets: RequestBudgets,
    /// One for each URL source, so that the lookups of one do not delay those of another.
    clients: [HttpClients; UrlSource::COUNT],
}

/// Created on first use: reading the system's certificate authorities takes time and memory, and many
/// deployments send no requests.
struct HttpClients {
    names: Arc<DnsResolver>,
    https: OnceLock<Client>,
    http: OnceLock<Client>,
}

impl OutboundClient {
    /// Creates the client.
    ///
    /// # Errors
    /// Returns an error if `outbound.ca_file` contains no certificates.
    pub fn new(config: &Config) -> Result<Self, String> {
        let settings = &config.outbound;
        let authorities = match &settings.ca_file {
            Some(path) => authorities(path).map_err(|error| format!("outbound.ca_file {error}"))?,
            None => Vec::new(),
        };
        let clients = || HttpClients {
            names: Arc::new(DnsResolver::new(settings.resolver.addresses().to_vec())),
            https: OnceLock::new(),
            http: OnceLock::new(),
        };
        let inner = OutboundInner {
            rules: AddressPolicy::new(settings.allow.clone()),
            authorities,
            budgets: RequestBudgets::new(),
            clients: [clients(), clients(), clients()],
        };
        let (purpose, named_by) = (Purpose::SectorIdentifiers, UrlSource::Anonymous);
        Ok(Self { inner: Arc::new(inner), purpose, named_by, patience: REQUEST_TIMEOUT })
    }

    /// Returns the same client with another timeout than five seconds.
    #[must_use]
    pub fn with_timeout(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// Returns the same client with the budget of that purpose.
    #[must_use]
    pub fn for_purpose(&self, purpose: Purpose) -> Self {
        Self { purpose, ..self.clone() }
    }

    /// Returns the same client with the budget and the resolver of that URL source.
    #[must_use]
    pub fn named_by(&self, named_by: UrlSource) -> Self {
        Self { named_by, ..self.clone() }
    }

    /// Returns an error if `url` is not allowed, as far as this can be decided without a lookup of its name.
    pub fn check(&self, url: &str) -> Result<(), OutboundError> {
        self.inner.rules.target(url).map(|_| ())
    }

    /// Fetches the URL. Any status other than 200 is an error.
    pub async fn get(&self, url: &str, accept: &'static str) -> Result<Fetched, OutboundError> {
        let target = self.inner.rules.target(url)?;
        let host = self.budget_host(&target);
        let ask = self.inner.client(self.named_by, target.plain)?.get(target.url).header(ACCEPT, accept);
        let max_bytes = self.purpose.max_bytes();
        self.run_within_budget(&host, async { fetched(ask.send().await.map_err(failed)?, max_bytes).await }).await
    }

    /// Posts a form and returns the status of the response. The body is not read.
    pub async fn post_form(&self, url: &str, form: &[(&str, &str)]) -> Result<u16, OutboundError> {
        let target = self.inner.rules.target(url)?;
        let host = self.budget_host(&target);
        let ask = self.inner.client(self.named_by, target.plain)?.post(target.url).form(form);
        self.run_within_budget(&host, async { Ok(ask.send().await.map_err(failed)?.status().as_u16()) }).await
    }

    /// Returns the host whose requests are counted together. Services at several ports of one host count
    /// separately if an administrator named them. An untrusted party could name every port of a host that it
    /// does not own.
    fn budget_host(&self, target: &Target) -> String {
        let port = target.url.port_or_known_default().filter(|_| self.named_by == UrlSource::Administrator);
        port.map_or_else(|| target.host.clone(), |port| format!("{}:{port}", target.host))
    }

    async fn run_within_budget<T>(
        &self,
        host: &str,
        exchange: impl Future<Output = Result<T, OutboundError>>,
    ) -> Result<T, OutboundError> {
        self.inner.budgets.of(self.purpose, self.named_by)?.run(host, self.patience, exchange).await
    }
}

impl OutboundInner {
    fn client(&self, named_by: UrlSource, plain: bool) -> Result<&Client, OutboundError> {
        let clients = self.clients.get(named_by.index()).ok_or(OutboundError::Busy)?;
        let kept = if plain { &clients.http } else { &clients.https };
        if let Some(client) = kept.get() {
            return Ok(client);
        }
        let client = if plain {
            self.builder(&clients.names, true).tls_certs_only([])
        } else {
            self.authorities
                .iter()
                .cloned()
                .fold(self.builder(&clients.names, false), ClientBuilder::add_root_certificate)
        };
        let client = client.build().map_err(|error| OutboundError::Client(error_summary(&error)))?;
        Ok(kept.get_or_init(|| client))
    }

    fn builder(&self, names: &Arc<DnsResolver>, plain: bool) -> ClientBuilder {
        Client::builder()
            .https_only(!plain)
            .dns_resolver(PolicyResolver { rules: self.rules.clone(), names: names.clone(), plain })
            .redirect(redirect::Policy::none())
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            // An HTTP/2 server may fill a window of megabytes before anything of it is read here.
            .http1_only()
            // The address is checked when the connection is made, and each connection serves one request.
            .pool_max_idle_per_host(0)
            .user_agent("Signet")
    }
}

async fn fetched(mut answer: Response, max_bytes: usize) -> Result<Fetched, OutboundError> {
    let status = answer.status().as_u16();
    if status != 200 {
        return Err(OutboundError::Status(status));
    }
    let headers = answer.headers();
    // Prevents a small response from decompressing to a large one.
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(OutboundError::Packed);
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let max_age = cache_control::max_age(headers);
    let most = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    if answer.content_length().is_some_and(|length| length > most) {
        return Err(OutboundError::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > max_bytes {
            return Err(OutboundError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    // Some editors write a byte order mark in front of JSON (RFC 8259 §8.1).
    body.drain(..body.len() - bytes_without_bom(&body).len());
    Ok(Fetched { content_type, body, max_age })
}

/// Returns the policy error that the connection failed with, or else a general error.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: reqwest::Error) -> OutboundError {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = next {
        if let Some(ours) = cause.downcast_ref::<OutboundError>() {
            return ours.clone();
        }
        next = cause.source();
    }
    OutboundError::Unreachable(error_summary(&error))
}

/// Returns the causes of a client's error, without the URL, on one short line: the names in a certificate are
/// untrusted text.
fn error_summary(error: &reqwest::Error) -> String {
    let text = std::error::Error::source(error).map_or_else(|| "no reason given".to_owned(), causes);
    text.chars().filter(|letter| !letter.is_control()).take(MAX_ERROR_LENGTH).collect()
}
