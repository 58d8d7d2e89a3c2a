//! The crate's tests from outside, one file a subject; `support` has requests and keys. The vectors are files in
//! `tests/vectors/` at the top of the repository, for whoever writes a caller in another language.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod digest;
mod examples;
mod keys;
mod malformed;
mod policy;
mod properties;
mod support;
mod vectors;
