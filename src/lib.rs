//! Signet: an OpenID Connect provider in one binary.
pub mod config;
pub mod domain;
pub mod env;
pub mod identity;
pub mod keys;
pub mod protocol;
pub mod store;
