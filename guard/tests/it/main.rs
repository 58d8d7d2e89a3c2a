//! The guard from outside: an API of a few routes behind it, and an issuer in the same process with its metadata, its
//! keys and a clock that the test moves.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails says where")]

mod bodies;
mod issuer;
mod routes;
mod signed;
mod support;
mod tokens;
