//! What handlers ask for: [`Asked`], a protocol request unjudged, and [`Visitor`], a person's browser with its session
//! and, for a POST, its checked form.

mod asked;
mod visitor;

pub use asked::{Asked, RequestId, origin};
pub use visitor::{Form, Visitor};
