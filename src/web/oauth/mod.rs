//! The protocol's endpoints: each handler parses, calls `protocol` and renders.

pub mod authorize;
pub mod check_session;
pub mod documents;
pub mod registration;
pub mod token;
pub mod userinfo;
