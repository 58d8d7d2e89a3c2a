//! A guard for HTTP APIs: a layer for tower (axum, hyper) that lets in who has an access token of an OpenID Connect
//! provider, or signs requests with a key that the API knows.
//!
//! ```
//! use axum::{Extension, Router, routing::get};
//! use signet_guard::{Guard, Identity, group, scope};
//!
//! async fn orders(Extension(who): Extension<Identity>) -> String {
//!     format!("the orders of {}", who.subject())
//! }
//!
//! let guard = Guard::new("https://id.example.com", "https://api.example.com");
//! let app: Router = Router::new()
//!     .route("/orders", get(orders).layer(guard.clone().require(scope("read"))))
//!     .nest("/staff", Router::new().route("/", get(orders)).layer(guard.require(scope("write")).require(group("staff"))));
//! # let _ = app;
//! ```
//!
//! The longer example is `examples/orders.rs`.
//!
//! # Tokens
//! JWTs of RFC 9068: of type `at+jwt`, by ES256, RS256, PS256 or EdDSA, of this issuer, for this audience, good now within
//! ten seconds. The keys come from the issuer's metadata. They are fetched when first needed (or by [`Guard::ready`]),
//! every five minutes beside the requests, and at once when a token names a key that is not known, which happens at most
//! once in five seconds, and once a minute after a fetch that failed. While the issuer does not answer, known keys go on
//! being good for a day after they were fetched, without waiting for it; then requests are refused with 503.
//!
//! Opaque tokens, API keys and Basic cannot be verified here. Signet's gate in front of the API verifies them and hands on
//! a JWT in `X-Gate-Token`: see [`Guard::with_token_header`].
//!
//! [`scope`] is of the claim `scope`, [`group`] of the claim `groups`. Signet's tokens from the gate have `groups`; its
//! access tokens from the token endpoint have none, so an API that asks for groups stands behind the gate, or has a
//! provider that puts the claim in (RFC 9068 §2.2.3.1).
//!
//! A token that is bound to a certificate or a key (`cnf`, RFC 7800) is refused: nobody shows that here.
//!
//! A token that was revoked is good here until it expires, ten minutes at most with Signet; the gate knows at once.
//!
//! # Signatures and bodies
//! [`Guard::with_signatures`]: RFC 9421 with `created`, `nonce` and `keyid`, over `@method`, `@target-uri` and, for POST,
//! PUT and PATCH, `content-digest`. A nonce is taken once, after the signature has verified; [`MemoryNonces`] keeps them on
//! one node, so many for each key that no caller can fill it for another. A request has one credential: a token beside a signature is refused.
//!
//! Where a request has `Content-Digest` (RFC 9530), its body is read, up to [`Guard::with_body_limit`], and held against
//! it; signed or not, and only of somebody who may send it. The digest is of what was sent: a layer that decompresses
//! bodies stands behind the guard.
//!
//! # Answers
//! 401 and 403 with the challenges of RFC 6750 §3; 400 for what cannot be read, two credentials, or a digest that does not
//! fit; 413; 503 where nothing can be verified now. The body is JSON with `error` and `error_description`. What stands
//! outside the guard is not guarded: put CORS there, since a preflight has no credential.
//!
//! Guards inside one another, of the same settings, ask for the token once; each adds what it requires.
//!
//! | spec | file |
//! | --- | --- |
//! | RFC 6750 §3, RFC 9728 §5.1, RFC 9421 §5.1: challenges | `challenge` |
//! | RFC 9068, RFC 8725: tokens | `token` |
//! | OpenID Connect Discovery §4, RFC 8414 §3, RFC 7517 §5 | `discovery`, `keys` |
//! | RFC 9421, by `signet-signatures` | `signed`, `nonces` |
//! | RFC 9530 | `service` |

mod challenge;
mod discovery;
mod guard;
mod identity;
mod keys;
mod nonces;
mod requirement;
mod service;
mod signed;
mod token;

pub use discovery::IssuerError;
pub use guard::{Guard, SettingError};
pub use identity::{CredentialKind, Identity};
pub use jsonwebtoken::Algorithm;
pub use nonces::{BoxFuture, MemoryNonces, Nonces, NoncesUnavailable};
pub use requirement::{Requirement, group, scope};
pub use service::Guarded;
pub use signed::{Caller, SignatureKeys};
pub use signet_signatures::VerifyingKey;
