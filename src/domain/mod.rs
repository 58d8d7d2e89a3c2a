//! Domain values and their rules. No I/O, no clock, no SQL, no HTTP.
//!
//! A value that exists is valid: constructors parse their input (scopes, redirect URIs, usernames, client metadata) and
//! return a sentence for invalid input. `store` persists these values. `protocol` and `identity` make decisions about
//! them.

pub mod algorithms;
pub mod api;
pub mod api_key;
pub mod authorization;
pub mod authorization_code;
pub mod certificate;
pub mod claims_request;
pub mod client;
pub mod client_metadata;
pub mod client_scopes;
pub mod delivery;
pub mod device;
pub mod event;
pub mod gate;
pub mod gate_path;
pub mod grant;
pub mod http_host;
pub mod ids;
pub mod interaction;
pub mod jwks;
pub mod log_limiter;
pub mod narrowing;
pub mod network_prefix;
pub mod participant;
pub mod passkey;
pub mod permissions;
pub mod printable;
pub mod redirect_mismatch;
pub mod redirect_uri;
pub mod scope;
pub mod secret;
pub mod session;
pub mod signature_key;
pub mod signing_key;
pub mod uri;
pub mod user;
pub mod username_policy;
pub mod version;
pub mod web_address;
