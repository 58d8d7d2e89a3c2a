//! Every test that needs a running server, in one binary: one file a room. `support` starts the server.
//!
//! `TEST_DATABASE` (`sqlite`, the default, or `postgres`) says on which engine; `tests/run` runs both.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod account;
mod attacks;
mod authorize;
mod browser;
mod budgets;
mod client_auth;
mod commands;
mod conformance;
mod console;
mod documents;
mod durability;
mod foreign_passwords;
mod layers;
mod logout;
mod logs;
mod nodes;
mod passkey;
mod relying_party;
mod resources;
mod setup;
mod signup;
mod support;
mod tls;
mod token;
mod upkeep;
