//! The extractors of the handlers.
//!
//! * [`ProtocolRequest`]: a request to a protocol endpoint; [`client_certificate`]: the certificate of its TLS
//!   connection.
//! * [`Visitor`]: a browser with its session, if any; [`Form`]: a checked form POST from it; [`ScriptRequest`]: a
//!   request from a script of this server.
//! * [`PathParam`]: a typed path parameter; [`body`]: a request body within the limits.
//! * [`SignedIn`] and [`Admin`]: a signed-in user or administrator, and [`SignedInForm`]: a form from a signed-in
//!   user. Requests without a session are sent to the sign-in page.
//! * [`RecentForm`] and [`AdminForm`]: a form from a user or administrator with a recent sign-in.

mod certificate;
mod client_address;
mod path_param;
mod recent;
mod request;
mod script;
mod signed_in;
mod stale;
mod visitor;

pub use certificate::client_certificate;
pub use client_address::{caller, client_address_of, forwarded_client_address, from_proxy, peer, unreadable};
pub use path_param::PathParam;
pub use recent::{MAX_FORM_BYTES, is_recent};
pub use request::{ProtocolRequest, RequestId, authorization, body, form, origin};
pub use script::{ScriptRequest, is_json};
pub use signed_in::{Admin, AdminForm, FormFields, RecentForm, SignedIn, SignedInForm};
pub use visitor::{Form, Visitor};
