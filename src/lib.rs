//! Signet: an OpenID Connect provider in one binary. This page lists its modules.
//!
//! Modules import only from layers below (checked by `tests/it/layers.rs`):
//!
//! | layer | what it does |
//! | --- | --- |
//! | [`cli`], [`server`] | the commands; start, serve, shut down |
//! | [`web`] | HTTP: parses requests, calls the layers below, renders responses. Only this module uses askama and tower-sessions, and only this module and [`server`], which runs the router, use axum |
//! | [`app`] | the shared server state, built once from the settings |
//! | [`manage`] | administrative operations: the console, the commands and `apply` use only this module |
//! | [`protocol`], [`identity`], [`gate`] | decisions: OAuth and OpenID Connect, user authentication, access to the APIs behind the gate; no HTTP, no SQL |
//! | [`store`], [`keys`], [`outbound`] | the database (the only SQL), keys and signatures (the only use of josekit), outgoing requests |
//! | [`domain`] | values and their rules; no I/O |
//! | [`config`], [`env`] | settings; clock and randomness |
//!
//! The module that implements each specification (`docs/conformance.md` covers them section by section):
//!
//! | spec | room | tests in `tests/it/` |
//! | --- | --- | --- |
//! | RFC 6749 §4.1, OpenID Connect Core §3.1.2 (authorization) | [`protocol::authorize`] | `authorize`, `attacks::steps` |
//! | RFC 6749 §3.2, §4.4, §5, §6 (token) | [`protocol::token`] | `token`, `attacks::races` |
//! | RFC 6749 §2.3, OpenID Connect Core §9 (client authentication) | [`protocol::client_auth`] | `client_auth` |
//! | RFC 6750 (bearer tokens), OpenID Connect Core §5.3 (UserInfo) | [`protocol::bearer`], [`protocol::userinfo`] | `resources` |
//! | RFC 7009 (revocation), RFC 7662 (introspection) | [`protocol::revocation`], [`protocol::introspection`] | `token`, `attacks::revocation` |
//! | RFC 7521, RFC 7523 §2.2 and §3 (client assertions) | [`protocol::client_assertion`], [`protocol::client_keys`] | `client_assertion`, `fuzz` |
//! | RFC 7523 §2.1 (JWT bearer grant), RFC 8693 (token exchange) | [`protocol::token`] | `jwt_bearer`, `token_exchange` |
//! | OAuth Client ID Metadata Document | [`protocol::client_document`] | `client_document` |
//! | RFC 7591, RFC 7592, OpenID Connect Dynamic Client Registration | [`protocol::registration`], [`domain::client_metadata`] | `registration`, `fuzz` |
//! | RFC 7636 (PKCE) | [`protocol::pkce`] | its own, `attacks::secrets` |
//! | RFC 8252 (native apps), RFC 9700 §4.1.3 (redirect URIs) | [`domain::redirect_uri`] | its own, `attacks::addresses` |
//! | RFC 8414, OpenID Connect Discovery | [`protocol::discovery`] | `documents` |
//! | RFC 8628 (device authorization) | [`protocol::device`], [`protocol::token`] | `device` |
//! | RFC 8705 (mutual TLS), RFC 9440 | [`protocol::mtls`], [`domain::certificate`], [`web::extract`] | `mtls`, `gate::certificate` |
//! | RFC 8707 (resource indicators), RFC 9068 (JWT access tokens) | [`protocol::access_token`] | `resources` |
//! | RFC 9101, OpenID Connect Core §6 (request objects) | [`protocol::authorize::request_object`] | `request_object`, `fuzz` |
//! | RFC 9126 (pushed authorization requests) | [`protocol::authorize::pushed`] | `par` |
//! | RFC 9207 (`iss` in the response), Form Post Response Mode | [`protocol::authorize::response`] | `authorize`, `browser::pages` |
//! | RFC 9421 (message signatures), RFC 9530 | [`gate`], [`cli`], `signatures/`, `guard/` | `gate::signatures`, `commands::request`, `callers` |
//! | RFC 9470 (step-up) | [`protocol::authorize::interaction`], [`gate::session`] | `step_up`, `gate::session` |
//! | RFC 9700 §4.14.2 (refresh token rotation) | [`domain::grant`], [`keys::refresh_token`] | `refresh_tokens`, `durability` |
//! | RFC 9701 (introspection as a JWT) | [`protocol::introspection`] | `token_formats` |
//! | RFC 9728 (protected resource metadata) | [`protocol::resource_metadata`] | `resource_metadata` |
//! | OAuth 2.0 Multiple Response Types, OpenID Connect Core §3.2, §3.3 | [`protocol::authorize::check`], [`protocol::authorize::response`] | `response_types` |
//! | OpenID Connect Core §2 (ID tokens), §5.4 (claims) | [`protocol::id_token`], [`protocol::claims`] | `relying_party`, `resources` |
//! | OpenID Connect Core §4 (third-party-initiated login) | [`web::account::apps`] | `account` |
//! | OpenID Connect Core §5.5 (`claims`) | [`domain::claims_request`] | `claims_parameter`, `fuzz` |
//! | OpenID Connect RP-Initiated Logout | [`protocol::logout`] | `logout::rp_initiated` |
//! | OpenID Connect Back-Channel Logout | [`protocol::backchannel_logout`], [`store::session_end`] | `logout::backchannel` |
//! | OpenID Connect Front-Channel Logout | [`protocol::frontchannel_logout`] | `logout::frontchannel`, `browser::sessions` |
//! | OpenID Connect Session Management | [`protocol::session_management`], [`web::session_state`] | `logout::session_management`, `browser::sessions` |
//! | Initiating User Registration via OpenID Connect (`prompt=create`) | [`protocol::authorize::interaction`], [`manage::sign_up`] | `signup` |
//! | OpenID Connect Core §8.1 (pairwise subjects) | [`keys::pairwise`] | its own |
//! | OpenID Connect Core §10 (clients' signatures and encryption) | [`keys::client_jws`], [`keys::encryption`] | their own |
//! | RFC 7515 to RFC 7519 (JOSE), RFC 7517 §5 (JWKS) | [`keys`] | `documents`, `upkeep` |
//! | WebAuthn Level 3 (passkeys) | [`identity::passkey`] | `passkey`, `browser::passkeys` |
//! | NIST SP 800-63B-4 (passwords, throttling) | [`identity::password`], [`identity::throttle`] | `attacks::guessing` |

pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod env;
pub mod gate;
pub mod identity;
pub mod keys;
pub mod manage;
pub mod outbound;
pub mod protocol;
pub mod server;
pub mod store;
pub mod web;
