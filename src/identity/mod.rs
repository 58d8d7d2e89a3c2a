//! User authentication. There is no HTTP and no SQL in this module: `web` calls it, and `store` persists the results.
//!
//! [`password`] has the rules of NIST SP 800-63B-4, [`hash`] this server's password hashes, [`foreign_hash`] those of
//! other programs, [`throttle`] the limits on failures, [`login`] the whole sign-in with a password, [`passkey`]
//! WebAuthn, [`session`] the browser sessions that a sign-in starts.

pub mod foreign_hash;
pub mod hash;
pub mod login;
pub mod passkey;
pub mod password;
pub mod session;
pub mod throttle;
