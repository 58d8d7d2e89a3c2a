//! Settings: `signet.toml`, each key overridable by `SIGNET_<KEY>` (`__` between levels). All settings are
//! optional.
//!
//! [`Config::load`] parses and validates everything once. An error for an unknown key or an invalid value names
//! the key. See also [`environment`] (which variables are settings), [`issuer`] (the rules for the issuer URL),
//! [`listen`] (the listen address), [`database_url`], [`network`] (CIDR lists), [`lifetimes`], [`registration`]
//! (dynamic client registration), [`connections`] (limits of connections), [`quotas`] (limits of what
//! unauthenticated callers store), [`security_txt`] (where to report a vulnerability) and `reference` (a test
//! that writes docs/configuration.md from the comments and defaults here).

mod connections;
mod database_url;
mod environment;
mod issuer;
mod lifetimes;
mod list;
mod listen;
mod network;
mod quotas;
#[cfg(test)]
mod reference;
mod registration;
mod security_txt;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Format, Toml};
use serde::Deserialize;

pub use connections::ConnectionLimits;
pub use database_url::DatabaseUrl;
pub use issuer::Issuer;
pub use lifetimes::{Lifetimes, MAX_REFRESH_TOKEN_GRACE};
pub use listen::ListenAddress;
pub use network::{HeaderName, NameServers, NetworkList, OutboundAllow, parse_network};
pub use quotas::Quotas;
pub use registration::{RegistrationMode, RegistrationPolicy, SoftwareIssuer};
pub use security_txt::{LanguageList, Rfc3339Time, SecurityTxt, UriList};

use environment::Environment;

/// Every setting, checked.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The issuer URL, exactly as it stands in tokens; https is required unless the host is loopback.
    pub issuer: Issuer,
    /// Where to listen: an address and a port, a host name and a port (`localhost:8080`), or a port alone (`:8080`), which is
    /// every address of this machine.
    pub listen: ListenAddress,
    /// Where the `SQLite` database and the generated master key lie.
    pub data_dir: PathBuf,
    /// `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`; without it `SQLite` in the data directory.
    pub database_url: Option<DatabaseUrl>,
    pub database: DatabaseConfig,
    /// 32 bytes in base64 that seal signing keys and other secrets at rest; without it the file `master.key` in the data
    /// directory, made at the first start. Nodes on one database need the same one.
    pub master_key: Option<EncodedMasterKey>,
    /// What people read as the name of this deployment.
    pub name: String,
    pub tls: TlsConfig,
    /// Addresses and CIDRs of proxies whose forwarded headers are believed; those of anybody else are ignored.
    pub trusted_proxies: NetworkList,
    /// The header in which these proxies hand on the client certificate of a TLS connection (RFC 8705, RFC 9440), as
    /// `Client-Cert`; without it nobody is known by a certificate. They must write it themselves, into every request, or take
    /// out what a caller wrote, and hand on only what they have verified.
    pub client_certificate_header: Option<HeaderName>,
    /// Dynamic client registration (RFC 7591): `off`, `token` (with an initial access token) or `open` (anybody).
    pub registration: RegistrationMode,
    pub registration_policy: RegistrationPolicy,
    /// Whether people may make an account of their own: `off`, or `open` for anybody who can reach this server, by the page
    /// `/signup` and by an app's request with `prompt=create`.
    pub sign_up: SignUpMode,
    /// Whether the https address of a client's metadata document may be its `client_id`, so that it needs no registration.
    /// Such a client needs PKCE and the user's consent, always, and may ask for the APIs that say `self_registered_clients`
    /// beside the scopes of `registration_policy.scope`. To keep one out, add an app of that id and turn it off.
    pub client_id_metadata_documents: bool,
    pub outbound: OutboundConfig,
    pub log: LogConfig,
    pub lifetimes: Lifetimes,
    pub connections: ConnectionLimits,
    pub quotas: Quotas,
    pub security_txt: SecurityTxt,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            issuer: Issuer::default(),
            listen: ListenAddress::Address(SocketAddr::from(([127, 0, 0, 1], 8080))),
            data_dir: PathBuf::from("./data"),
            database_url: None,
            database: DatabaseConfig::default(),
            master_key: None,
            name: "Signet".to_owned(),
            tls: TlsConfig::default(),
            trusted_proxies: NetworkList::default(),
            client_certificate_header: None,
            registration: RegistrationMode::Off,
            registration_policy: RegistrationPolicy::default(),
            sign_up: SignUpMode::Off,
            client_id_metadata_documents: true,
            outbound: OutboundConfig::default(),
            log: LogConfig::default(),
            lifetimes: Lifetimes::default(),
            connections: ConnectionLimits::default(),
            quotas: Quotas::default(),
            security_txt: SecurityTxt::default(),
        }
    }
}

/// How PostgreSQL is used.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// Connections that one node opens at most, from 4 to 1000; two of them carry the change feed. With the default three
    /// nodes, a command and `psql` fit into `max_connections = 40`.
    pub pool_size: u32,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self { pool_size: 10 }
    }
}

/// Certificate and key for serving https without a proxy, as PEM files; read again when they change.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// The certificate and those that lead from it to a root, in this order.
    pub cert_file: Option<PathBuf>,
    /// Its private key (PKCS#8, PKCS#1 or SEC1).
    pub key_file: Option<PathBuf>,
}

/// Exceptions to the rule that requests sent out reach public https addresses only.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct OutboundConfig {
    /// CIDRs and host names that may be reached although private or plain http.
    pub allow: OutboundAllow,
    /// PEM file with a further certificate authority to trust.
    pub ca_file: Option<PathBuf>,
    /// Name servers that requests sent out ask, such as `10.0.0.53` or `10.0.0.53:5353`; without it those of
    /// `/etc/resolv.conf`. Names in `/etc/hosts` come first.
    pub resolver: NameServers,
}

/// The log, on stderr: one line a request, with an id that the answer has in `x-request-id`; never a secret.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `text` for people, `json` for machines.
    pub format: LogFormat,
    /// A filter as `RUST_LOG` has it, such as `info` or `signet=debug,info`.
    pub level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "lowercase")]
pub enum SignUpMode {
    Off,
    Open,
}

/// The master key as written in a setting; `keys` decodes it.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct EncodedMasterKey(pub String);

impl std::fmt::Debug for EncodedMasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKeyText([secret])")
    }
}

/// Why the settings cannot be used. The text names the key and its source.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{0}")]
    Invalid(String),
    #[error("the configuration file {0} does not exist")]
    Missing(PathBuf),
}

impl Config {
    /// Reads `file` (or `signet.toml` if it exists), then the environment, which overrides it.
    ///
    /// # Errors
    /// Returns a [`ConfigError`] that names the unknown or invalid key.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some(path) = file.filter(|path| !path.is_file()) {
            return Err(ConfigError::Missing(path.to_owned()));
        }
        let environment = Environment::read().map_err(ConfigError::Invalid)?;
        Self::from_figment(&file_figment(file).merge(environment))
    }

    fn from_figment(settings: &Figment) -> Result<Self, ConfigError> {
        // Numbers and booleans may be strings, because environment variables contain only strings.
        let config: Self = settings.extract_lossy().map_err(|e| ConfigError::Invalid(one_line(&e)))?;
        config.check()
    }

    /// Returns the file that [`Self::load`] reads if it contains a secret: `master_key`, or a password in
    /// `database_url`.
    #[must_use]
    pub fn file_with_secrets(file: Option<&Path>) -> Option<PathBuf> {
        let figment = file_figment(file);
        let url = figment.extract_inner::<String>("database_url").ok().and_then(|url| url::Url::parse(&url).ok());
        let has_password =
            url.is_some_and(|url| url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password"));
        if !has_password && !figment.contains("master_key") {
            return None;
        }
        figment.metadata().find_map(|metadata| metadata.source.as_ref()?.file_path().map(Path::to_owned))
    }

    fn check(self) -> Result<Self, ConfigError> {
        if self.tls.cert_file.is_some() != self.tls.key_file.is_some() {
            return Err(ConfigError::Invalid("tls.cert_file and tls.key_file are set together or not at all".into()));
        }
        if !(4..=1000).contains(&self.database.pool_size) {
            return Err(ConfigError::Invalid("database.pool_size is a number from 4 to 1000".into()));
        }
        if self.trusted_proxies.has_every_address() {
            return Err(ConfigError::Invalid(
                "trusted_proxies names every address: anyone could then forge forwarded headers; name your proxies"
                    .into(),
            ));
        }
        if self.client_certificate_header.is_some() && self.trusted_proxies.is_empty() {
            return Err(ConfigError::Invalid(
                "client_certificate_header is believed of trusted_proxies alone, and there are none".into(),
            ));
        }
        if self.name.trim().is_empty() {
            return Err(ConfigError::Invalid("name is empty".into()));
        }
        self.lifetimes.check().map_err(ConfigError::Invalid)?;
        self.connections.check().map_err(ConfigError::Invalid)?;
        self.quotas.check().map_err(ConfigError::Invalid)?;
        Ok(self)
    }

    /// Returns the URL of the database, or the default.
    #[must_use]
    pub fn database(&self) -> DatabaseUrl {
        self.database_url.clone().unwrap_or_else(|| DatabaseUrl::from_file(&self.data_dir.join("signet.db")))
    }

    /// Returns whether browsers reach this server with https. This determines `Secure` cookies and the
    /// `__Host-` prefix.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.issuer.is_https()
    }
}

/// Returns the settings of the file, without those of the environment.
fn file_figment(file: Option<&Path>) -> Figment {
    Figment::new().merge(file.map_or_else(|| Toml::file("signet.toml"), Toml::file_exact))
}

/// Returns figment's errors as one line: the key, the source and the problem of each.
fn one_line(error: &figment::Error) -> String {
    let all: Vec<String> = error.clone().into_iter().map(|error| describe_error(&error)).collect();
    all.join("; ").replace('\n', " ")
}

fn describe_error(error: &figment::Error) -> String {
    let mut path = error.path.clone();
    let problem = match &error.kind {
        Kind::UnknownField(name, known) => {
            if path.last() != Some(name) {
                path.push(name.clone());
            }
            format!("there is no such key, only {}", known.join(", "))
        }
        Kind::Message(text) => text.clone(),
        // All other kinds of error repeat the value, and these two are secrets.
        _ if ["master_key", "database_url"].iter().any(|key| path.iter().any(|part| part == key)) => {
            "must be text".to_owned()
        }
        kind => kind.to_string(),
    };
    let key = path.join(".");
    match error.metadata.as_ref().map(|metadata| &metadata.source) {
        Some(Some(file)) => format!("{key} in {file}: {problem}"),
        Some(None) => format!("{key} (SIGNET_{}): {problem}", path.join("__").to_uppercase()),
        None => format!("{key}: {problem}"),
    }
}
