//! What handlers ask for: [`Asked`], a protocol request unjudged; [`client_certificate`], of its TLS connection; [`Visitor`],
//! a person's browser with its session and, for a POST, its checked [`Form`]; [`ScriptAsk`], what our own script asks;
//! [`InPath`], what an address names; [`body`], a body within limits; [`SignedIn`] and [`Admin`], who are let no further
//! without a session, with their forms; [`RecentForm`] and [`AdminForm`], from who has signed in recently.

mod asked;
mod certificate;
mod client_address;
mod in_path;
mod recent;
mod script;
mod signed_in;
mod stale;
mod visitor;

pub use asked::{Asked, RequestId, authorization, body, form, origin};
pub use certificate::client_certificate;
pub use client_address::{caller, caller_of, forwarded_caller, from_proxy, peer, unreadable};
pub use in_path::InPath;
pub use recent::{MAX_FORM_BYTES, is_recent};
pub use script::{ScriptAsk, is_json};
pub use signed_in::{Admin, AdminForm, Fields, RecentForm, SignedIn, SignedInForm};
pub use visitor::{Form, Visitor};
