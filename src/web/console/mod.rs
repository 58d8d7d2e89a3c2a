//! The administrator's pages, below `/admin`. Each calls `manage` and nothing else to change anything.
//!
//! [`views`] what their templates show.

pub mod views;
