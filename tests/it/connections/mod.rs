//! Connections: [`forwarded`] which client a proxy forwards for.

mod forwarded;
