//! What handlers ask for: [`Asked`], a protocol request unjudged; [`client_certificate`], of its TLS connection; [`Visitor`],
//! a person's browser with its session and, for a POST, its checked [`Form`]; [`ScriptRequest`], what our own script asks;
//! [`PathParam`], what an address names; [`body`], a body within limits; [`SignedIn`] and [`Admin`], who are let no further
//! without a session, with their forms; [`RecentForm`] and [`AdminForm`], from who has signed in recently.

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
