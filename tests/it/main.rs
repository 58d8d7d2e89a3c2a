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
mod adoption;
mod api_access;
mod api_keys;
mod attacks;
mod authorize;
mod browser;
mod budgets;
mod callers;
mod claims_parameter;
mod client_access;
mod client_assertion;
mod client_auth;
mod client_document;
mod clients;
mod commands;
mod conformance;
mod connections;
mod console;
mod deliveries;
mod device;
mod documents;
mod durability;
mod ends;
mod executable_docs;
mod faults;
mod foreign_passwords;
mod fuzz;
mod gate;
mod histories;
mod inside;
mod interactions;
mod jwt_bearer;
mod large_requests;
mod layers;
mod licenses;
mod logo;
mod logout;
mod logs;
mod mcp;
mod mtls;
mod nodes;
mod outbound;
mod pairwise;
mod par;
mod passkey;
mod passkey_removal;
mod refresh_tokens;
mod registration;
mod relying_party;
mod remote_keys;
mod request_object;
mod resource_metadata;
mod resources;
mod response_types;
mod revoked_tokens;
mod setup;
mod sign_in_names;
mod signup;
mod silent_names;
mod skewed_clocks;
mod skewed_sign_ins;
mod step_up;
mod strangers;
mod support;
mod tls;
mod token;
mod token_exchange;
mod token_formats;
mod upkeep;
mod usernames;
mod well_known;
