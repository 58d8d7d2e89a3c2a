//! The settings in environment variables: `SIGNET_<KEY>`, with `__` between levels.
//!
//! A value is text, and the type of the setting determines how it is parsed: as a number, a boolean or a list
//! only if the setting is one, so that `SIGNET_NAME=2024` is a name. See also [`super::list`], lists in one
//! text.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};

const PREFIX: &str = "SIGNET_";

/// The variables that are settings.
pub(super) struct Environment(Dict);

impl Environment {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// Returns a sentence that names the variable whose value is not UTF-8.
    pub(super) fn read() -> Result<Self, String> {
        Self::from_variables(std::env::vars_os())
    }

    fn from_variables(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Self, String> {
        let mut named = BTreeMap::new();
        for (name, value) in variables {
            let name = name.to_string_lossy().to_ascii_uppercase();
            if let Some(key) = name.strip_prefix(PREFIX) {
                named.insert(key.to_owned(), value);
            }
        }
        let links = ServiceLinks::from_variables(&named);
        let mut settings = Dict::new();
        for (key, value) in &named {
            // `SIGNET_CONFIG` names the settings file and is not a setting in it.
            if key == "CONFIG" || links.is_injected(key, value) {
                continue;
            }
            let value = value.to_str().ok_or_else(|| format!("{PREFIX}{key} is not UTF-8"))?.trim();
            // Compose and Helm set a variable without a value to the empty string.
            if value.is_empty() {
                continue;
            }
            let key = key.to_ascii_lowercase();
            let path: Vec<&str> = key.split("__").collect();
            let path = if path.contains(&"") { vec![key.as_str()] } else { path };
            put(&mut settings, &path, value);
        }
        Ok(Self(settings))
    }
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment variables")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.0.clone())]))
    }
}

/// Inserts a setting. A key that is both a value and a table stays a value, which is rejected later.
fn put(settings: &mut Dict, path: &[&str], text: &str) {
    match path {
        [] => {}
        [key] => drop(settings.insert((*key).to_owned(), Value::from(text))),
        [key, rest @ ..] => {
            let below = settings.entry((*key).to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, below) = below {
                put(below, rest, text);
            }
        }
    }
}

/// Services and containers whose names begin with `signet`. In every container beside such a service,
/// Kubernetes and Docker set variables that begin with its upper-case name: `SIGNET_SERVICE_HOST`,
/// `SIGNET_PORT_8080_TCP_ADDR`, or `SIGNET_DB_PORT=tcp://…` for a service named `signet-db`.
struct ServiceLinks {
    /// The part after the prefix, such as `DB_`; empty for a service named `signet` itself.
    names: Vec<String>,
    /// Whether Docker describes a container named `signet`: then `SIGNET_NAME` may be the name of a container.
    is_linked: bool,
}

impl ServiceLinks {
    fn from_variables(variables: &BTreeMap<String, OsString>) -> Self {
        let is_address = |value: &OsStr| value.to_string_lossy().contains("://");
        let link = |(key, value): (&String, &OsString)| {
            let name = match key.strip_suffix("SERVICE_HOST") {
                Some(name) => name,
                None => key.strip_suffix("PORT").filter(|_| is_address(value))?,
            };
            name.ends_with('_').then(|| name.to_owned())
        };
        Self {
            names: std::iter::once(String::new()).chain(variables.iter().filter_map(link)).collect(),
            is_linked: variables.get("PORT").is_some_and(|value| is_address(value)),
        }
    }

    fn is_injected(&self, key: &str, value: &OsStr) -> bool {
        self.names.iter().any(|name| {
            let Some(rest) = key.strip_prefix(name.as_str()) else { return false };
            let is_container = || value.to_string_lossy().starts_with('/') && (!name.is_empty() || self.is_linked);
            rest == "PORT"
                || ["PORT_", "SERVICE_", "ENV_"].iter().any(|start| rest.starts_with(start))
                || (rest == "NAME" && is_container())
        })
    }
}

#[cfg(test)]
mod tests {
    use figment::Figment;

    use super::Environment;
    use crate::config::{Config, ConfigError};

    fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Config::from_figment(&Figment::new().merge(Environment::from_variables(variables).unwrap()))
    }

    #[test]
    fn kubernetes_and_docker_variables_are_ignored() {
        let injected = [
            ("SIGNET_SERVICE_HOST", "10.0.0.1"),
            ("SIGNET_SERVICE_PORT", "8080"),
            ("SIGNET_SERVICE_PORT_HTTP", "8080"),
            ("SIGNET_PORT", "tcp://10.0.0.1:8080"),
            ("SIGNET_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("SIGNET_PORT_8080_TCP_PROTO", "tcp"),
            ("SIGNET_PORT_8080_TCP_PORT", "8080"),
            ("SIGNET_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("SIGNET_NAME", "/web/signet"),
            ("SIGNET_ENV_SIGNET_ISSUER", "https://id.example.com"),
            // For services named signet-db and signet-metrics, and a container linked as signet-cache.
            ("SIGNET_DB_SERVICE_HOST", "10.0.0.2"),
            ("SIGNET_DB_SERVICE_PORT_POSTGRES", "5432"),
            ("SIGNET_DB_PORT", "tcp://10.0.0.2:5432"),
            ("SIGNET_DB_PORT_5432_TCP_ADDR", "10.0.0.2"),
            ("SIGNET_METRICS_SERVICE_HOST", "10.0.0.3"),
            ("SIGNET_METRICS_SERVICE_PORT", "9090"),
            ("SIGNET_CACHE_PORT", "tcp://172.17.0.5:6379"),
            ("SIGNET_CACHE_NAME", "/web/signet-cache"),
            ("SIGNET_CACHE_ENV_VERSION", "7"),
        ];
        let read = config(&injected).unwrap();
        assert_eq!((read.name.as_str(), read.listen.port()), ("Signet", 8080));
        for unknown in ["SIGNET_DB_PORT", "SIGNET_SERVER", "SIGNET_CACHE_NAME", "SIGNET_LOG__", "SIGNET_"] {
            let refused = config(&[(unknown, "5432")]);
            assert!(matches!(&refused, Err(ConfigError::Invalid(text)) if text.contains("no such key")), "{unknown}");
        }
        assert_eq!(config(&[("SIGNET_NAME", "/web/signet")]).unwrap().name, "/web/signet");
    }

    #[test]
    fn values_are_parsed_by_setting_type() {
        for name in ["2024", "true", "1e3", "007", "[Test]", "{a}", "\"quoted\"", "a, b"] {
            assert_eq!(config(&[("SIGNET_NAME", name)]).unwrap().name, name);
        }
        for (text, value) in [("true", true), ("TRUE", true), ("1", true), ("False", false), ("0", false)] {
            let read = config(&[("SIGNET_CLIENT_ID_METADATA_DOCUMENTS", text)]).unwrap();
            assert_eq!(read.client_id_metadata_documents, value, "{text}");
        }
        for (name, value) in [("SIGNET_CLIENT_ID_METADATA_DOCUMENTS", "2"), ("SIGNET_LIFETIMES__CODE", "1.5")] {
            assert!(config(&[(name, value)]).is_err(), "{name}={value}");
        }
        let read = config(&[
            ("SIGNET_LIFETIMES__CODE", " 30\n"),
            ("SIGNET_LIFETIMES__EVENTS", ""),
            ("SIGNET_LOG__FORMAT", " "),
            ("SIGNET_TRUSTED_PROXIES", ""),
            ("signet_issuer", "https://id.example.com"),
            ("SIGNET_CONFIG", "elsewhere.toml"),
        ])
        .unwrap();
        assert_eq!((read.lifetimes.code, read.lifetimes.events), (30, 90 * 86_400));
        assert!(read.trusted_proxies.is_empty() && read.issuer.as_str() == "https://id.example.com");
    }

    #[test]
    fn lists_accept_commas_and_arrays() {
        for text in ["implicit, refresh_token", "[\"implicit\", \"refresh_token\"]", "[implicit,refresh_token]"] {
            let read = config(&[("SIGNET_REGISTRATION_POLICY__GRANT_TYPES", text)]).unwrap();
            assert_eq!(read.registration_policy.grant_types, ["implicit", "refresh_token"], "{text}");
        }
        for text in ["10.0.0.0/8,::1", "[\"10.0.0.0/8\", \"::1\"]"] {
            let read = config(&[("SIGNET_TRUSTED_PROXIES", text)]).unwrap();
            assert!(["10.1.2.3", "::1"].iter().all(|proxy| read.trusted_proxies.contains(proxy.parse().unwrap())));
        }
        let issuers = |text| config(&[("SIGNET_REGISTRATION_POLICY__SOFTWARE_ISSUERS", text)]);
        let read = issuers("[{ issuer = \"https://a.example\", jwks_uri = \"https://a.example/keys\" }]").unwrap();
        assert_eq!(read.registration_policy.software_issuers[0].jwks_uri, "https://a.example/keys");
        for bad in ["https://a.example", "[{ issuer = \"https://a.example\" }]"] {
            let Err(ConfigError::Invalid(text)) = issuers(bad) else { panic!("{bad}") };
            assert!(text.contains("SIGNET_REGISTRATION_POLICY__SOFTWARE_ISSUERS"), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn non_utf8_value_is_named_in_the_error() {
        use std::os::unix::ffi::OsStringExt as _;
        let value = std::ffi::OsString::from_vec(vec![b'/', 0xff]);
        let refused = Environment::from_variables([("SIGNET_DATA_DIR".into(), value)].into_iter()).err();
        assert_eq!(refused.as_deref(), Some("SIGNET_DATA_DIR is not UTF-8"));
    }
}
