//! The endpoints of the protocol. Each handler parses the request, calls `protocol` and renders the result.

pub mod authorize;
pub mod check_session;
pub mod documents;
pub mod registration;
pub mod token;
pub mod userinfo;
