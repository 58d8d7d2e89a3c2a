//! Signet: an OpenID Connect provider in one binary.
//!
//! Imports point down only: `server` → `web` → {`protocol`, `identity`} → {`store`, `keys`} → `domain` → {`config`, `env`}.
//!
//! | spec | room |
//! | --- | --- |
//! | RFC 6749, OpenID Connect Core | `protocol::authorize`, `protocol::token` |
//! | RFC 7636 PKCE | `protocol::pkce` |
//! | RFC 7662, RFC 7009 | `protocol::introspection`, `protocol::revocation` |
//! | RFC 8414, OpenID Connect Discovery | `protocol::discovery` |
//! | RFC 9068 | `protocol::access_token` |
//! | RP-Initiated Logout | `protocol::logout` |

pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod env;
pub mod identity;
pub mod keys;
pub mod manage;
pub mod outbound;
pub mod protocol;
pub mod server;
pub mod store;
pub mod web;
