//! Resolves host names: from `/etc/hosts`, then with the name servers of `/etc/resolv.conf` or of the setting
//! `outbound.resolver`. A lookup blocks no thread, has a timeout, and is cancelled with the request that needs
//! it.
//!
//! Each [`super::UrlSource`] has a resolver of its own, because a resolver shares connections and memory
//! between its lookups.
//!
//! See also [`super::resolve`], which decides which of the addresses may be reached.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};

use super::OutboundError;

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";
/// The timeout for one name with its search list, both address families and retries. It is shorter than that of
/// a request.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(4);
/// The timeout for one response of a name server.
const MAX_ANSWER_TIMEOUT: Duration = Duration::from_millis(1500);
/// The number of retries after the first query.
const MAX_RETRIES: usize = 1;
/// The maximum number of cached responses, and their maximum lifetime.
const MAX_CACHED_ANSWERS: u64 = 500;
const MAX_ANSWER_TTL: Duration = Duration::from_mins(5);
const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(30);

/// Resolves the names of one source of URLs.
pub(super) struct DnsResolver {
    /// The name servers of the setting; those of the system if empty.
    servers: Vec<SocketAddr>,
    system: Mutex<Option<SystemResolver>>,
}

/// The resolver built from the system's files, and the state of these files.
#[derive(Clone)]
struct SystemResolver {
    changed_at: [Option<SystemTime>; 2],
    hosts: Arc<Hosts>,
    resolver: TokioResolver,
}

impl DnsResolver {
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers, system: Mutex::new(None) }
    }

    /// Returns the addresses of `host`, at least one. Returns [`OutboundError::UnknownHost`] if the name does not
    /// exist, and [`OutboundError::Lookup`] if no name server gives a usable response in time.
    pub(super) async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, OutboundError> {
        let name = Name::from_str_relaxed(host).map_err(|_| OutboundError::UnknownHost)?;
        let SystemResolver { hosts, resolver, .. } = self.system().map_err(|error| lookup_error(&error))?;
        let found = listed(&hosts, &name);
        if !found.is_empty() {
            return Ok(found);
        }
        let found = tokio::time::timeout(LOOKUP_TIMEOUT, resolver.lookup_ip(name)).await;
        let found: Vec<IpAddr> = match found {
            Ok(Ok(found)) => found.iter().collect(),
            Ok(Err(error)) if error.is_no_records_found() => return Err(OutboundError::UnknownHost),
            Ok(Err(error)) => return Err(lookup_error(&error)),
            Err(_) => return Err(OutboundError::Lookup("no answer in time".to_owned())),
        };
        if found.is_empty() { Err(OutboundError::UnknownHost) } else { Ok(found) }
    }

    /// Returns the resolver, rebuilt if one of the system's files has changed.
    fn system(&self) -> Result<SystemResolver, NetError> {
        let changed_at = [RESOLV_CONF, HOSTS].map(|file| std::fs::metadata(file).and_then(|of| of.modified()).ok());
        // A lookup that panicked has left the state unchanged.
        let mut system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = system.as_ref().filter(|known| known.changed_at == changed_at) {
            return Ok(known.clone());
        }
        let hosts = Arc::new(Hosts::from_system().unwrap_or_default());
        let made = SystemResolver { changed_at, hosts, resolver: self.resolver()? };
        Ok(system.insert(made).clone())
    }

    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let (config, options) = if self.servers.is_empty() {
            // The C library does the same if no name server is configured.
            hickory_resolver::system_conf::read_system_conf()
                .unwrap_or_else(|_| (servers(&[SocketAddr::from(([127, 0, 0, 1], 53))]), ResolverOpts::default()))
        } else {
            (servers(&self.servers), ResolverOpts::default())
        };
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let own = builder.options_mut();
        *own = options;
        own.timeout = own.timeout.min(MAX_ANSWER_TIMEOUT);
        own.attempts = own.attempts.min(MAX_RETRIES);
        own.use_hosts_file = ResolveHosts::Never;
        own.cache_size = MAX_CACHED_ANSWERS;
        own.positive_max_ttl = Some(MAX_ANSWER_TTL);
        own.negative_max_ttl = Some(MAX_NEGATIVE_TTL);
        builder.build()
    }
}

fn servers(addresses: &[SocketAddr]) -> ResolverConfig {
    let server = |address: &SocketAddr| {
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        server
    };
    ResolverConfig::from_parts(None, Vec::new(), addresses.iter().map(server).collect())
}

/// Returns the addresses in `/etc/hosts`. A name listed there is not queried elsewhere, in either address
/// family.
fn listed(hosts: &Hosts, name: &Name) -> Vec<IpAddr> {
    [RecordType::A, RecordType::AAAA]
        .into_iter()
        .filter_map(|kind| hosts.lookup_static_host(&Query::query(name.clone(), kind)))
        .flat_map(|found| found.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>())
        .collect()
}

fn lookup_error(error: &NetError) -> OutboundError {
    OutboundError::Lookup(error.to_string())
}
