//! HTTP: parse, call, render. The only place that knows axum, askama and tower-sessions.
//!
//! [`router`] every route on one screen, [`urls`] their paths, [`layers`] what surrounds each request, [`limits`] what none gets past, [`error`] how a
//! refusal becomes JSON or a page, [`sessions`] tower-sessions over our store, [`session_state`] what apps see of a session, [`browser`] the cookie of a browser that
//! has not signed in, `origin` which site a request comes from, [`flash`] what one page has to say on the next, `extract` what handlers ask for, `oauth` the
//! protocol's endpoints, [`well_known`] what is looked for at every site, `pages` the pages of a sign-in, `account` a person's own pages, [`api_keys`] what those and the console show of keys, [`device`] a browser in words, `console` the administrator's, [`edit`] forms that edit what others may have changed meanwhile, [`gate`] what proxies ask, [`gate::sign_in`] how browsers on apps' hosts sign in.

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
