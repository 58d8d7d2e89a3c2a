//! How a person proves who they are. No HTTP and no SQL here: `web` asks, `store` keeps.
//!
//! [`password`] the rules of NIST SP 800-63B-4, [`hash`] their hashes, [`foreign_hash`] those of other programs,
//! [`throttle`] how many failures are too many,
//! [`login`] a sign-in by password from beginning to end, [`passkey`] WebAuthn, [`session`] what a proof begins.

pub mod foreign_hash;
pub mod hash;
pub mod login;
pub mod passkey;
pub mod password;
pub mod session;
pub mod throttle;
