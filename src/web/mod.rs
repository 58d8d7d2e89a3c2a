//! HTTP layer: parses requests, calls the lower layers and renders responses. Only this module depends on axum,
//! askama and tower-sessions.
//!
//! * [`router`]: all routes; [`urls`]: their paths.
//! * [`layers`]: middleware around each request; [`limits`]: limits that apply to all requests.
//! * [`error`]: errors as JSON or as a page; [`error_report`]: their log lines and records.
//! * [`sessions`]: tower-sessions on top of the store; [`sign_in`]: begins and ends browser sessions;
//!   [`session_state`]: the session state cookie that clients can observe.
//! * [`browser`]: the cookie of a browser, signed in or not; `origin`: the site that a request comes from;
//!   [`device`]: a readable name for a `User-Agent`.
//! * [`flash`]: messages for the page after a redirect; [`view`]: values that all templates share; [`statics`]:
//!   static files; [`logo`]: client logos.
//! * [`extract`]: extractors for the handlers; [`edit`]: forms for objects that may have changed since the form was
//!   opened.
//! * [`oauth`]: the endpoints of OAuth and OpenID Connect; [`well_known`]: other well-known URIs.
//! * [`pages`]: the sign-in pages; [`account`]: the user's own pages; [`console`]: the administrator's pages;
//!   [`api_keys`]: API keys on both.
//! * [`gate`]: the endpoint for proxies; [`gate::sign_in`]: sign-in for browsers on client hosts.

pub mod account;
pub mod api_keys;
pub mod browser;
pub mod console;
pub mod device;
pub mod edit;
pub mod error;
pub mod error_report;
pub mod extract;
pub mod flash;
pub mod gate;
pub mod layers;
pub mod limits;
pub mod logo;
pub mod oauth;
mod origin;
pub mod pages;
pub mod router;
pub mod session_state;
pub mod sessions;
pub mod sign_in;
pub mod statics;
pub mod urls;
pub mod view;
pub mod well_known;
